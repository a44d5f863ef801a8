//go:build unix

package supervisor

import (
	"errors"
	"net"
	"sync"
	"syscall"
)

// exec runs a command for a caller, with its three streams carried over the
// connection. A caller that hangs up takes the command with it.
func (s *server) exec(conn *net.UnixConn, r request) error {
	if r.Exec == nil || len(r.Exec.Argv) == 0 {
		return errors.New("exec: no command")
	}
	if err := errors.Join(validateArgs(r.Exec.Argv), validateArgs(r.Exec.Env)); err != nil {
		return err
	}
	std, err := streamsOf(r.Exec)
	if err != nil {
		return err
	}
	defer std.shut()
	p, err := s.host.run(r.Exec.Argv, r.Exec.Env, std.theirs, std.terminal != nil)
	if err != nil {
		return err
	}
	std.forget()
	go func() {
		feed(conn, std)
		p.signal(syscall.SIGKILL) // feed ends only when the caller has gone, or the answer was sent
	}()

	w := &frameWriter{conn: conn}
	copied := make(chan struct{})
	var copies sync.WaitGroup
	copies.Go(func() { w.copy(streamOut, std.out) })
	copies.Go(func() { w.copy(streamErr, std.fail) })
	go func() {
		copies.Wait()
		close(copied)
	}()
	<-p.done
	await(copied, lingering)
	return w.send(reply{Done: true, Code: p.code()})
}

func streamsOf(r *execRequest) (*stdio, error) {
	if r.Terminal != nil {
		return screen(*r.Terminal)
	}
	return pipes()
}

// feed passes the caller's input on until the caller goes.
func feed(conn net.Conn, std *stdio) {
	for {
		var r reply
		if err := readFrame(conn, &r); err != nil {
			return
		}
		switch {
		case r.Size != nil:
			_ = std.resize(*r.Size) // no program depends on it
		case len(r.Data) == 0:
			_ = std.in.Close()
		default:
			_, _ = std.in.Write(r.Data) // a command that does not read loses it, as in a shell
		}
	}
}
