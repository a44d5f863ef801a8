//go:build unix

package supervisor

import (
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"time"
)

// lingering is how long the output of a command that has ended is waited for,
// in case something that it left behind holds it open.
const lingering = time.Second

// An inside is the machine's host: the partition itself.
type inside struct {
	root    string // data folder, where commands run
	env     []string
	loader  loader
	null    int // /dev/null, for reading and writing
	clock   func() time.Time
	dial    func(address string, timeout time.Duration) (net.Conn, error)
	reaper  *reaper
	journal *journal
	memory  memoryFile
}

func (h *inside) write(dirs []Dir, files []File, gone []string) error {
	return writeAll(dirs, files, gone)
}
func (h *inside) remember(m memory, sync bool) error { return h.memory.save(m, sync) }
func (h *inside) note(line string)                   { h.journal.note("slapd", []byte(line)) }

// start runs a service or a step; what it says goes to the log.
func (h *inside) start(c command, exited func(reason string)) (runner, error) {
	said := new(tail)
	l, err := h.launch(c, said)
	if err != nil {
		return nil, err
	}
	go func() {
		<-l.ended
		reason := explainEnd(l.reason(), said)
		if c.durable && reason == "" {
			if err := h.flush(); err != nil {
				reason = err.Error()
			}
		}
		exited(reason)
	}()
	return l.process, nil
}

// A launched command is a process whose output is taken care of.
type launched struct {
	*process
	ended chan struct{} // closed when it has ended and all it said is noted
}

// launch runs a command with its input. What it says goes to said and, if the
// command has a name, to the log.
func (h *inside) launch(c command, said *tail) (*launched, error) {
	var out, in pipe
	if err := out.open(false); err != nil {
		return nil, err
	}
	input := h.null
	if c.stdin != nil {
		if err := in.open(true); err != nil {
			out.close()
			return nil, err
		}
		input = in.theirs
	}
	p, err := h.run(c.argv, c.env, [3]int{input, out.theirs, out.theirs}, false)
	out.closeTheirs()
	in.closeTheirs()
	if err != nil {
		out.close()
		in.close()
		return nil, err
	}
	if c.stdin != nil {
		go func() {
			_, _ = in.ours.Write(c.stdin) // one who does not read all says so by its exit status
			in.close()
		}()
	}
	l := &launched{process: p, ended: make(chan struct{})}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		if c.name == "" {
			_, _ = io.Copy(said, out.ours)
			return
		}
		h.journal.copy(c.name, io.TeeReader(out.ours, said))
	}()
	go func() {
		<-p.done
		await(copied, lingering)
		out.close()
		close(l.ended)
	}()
	return l, nil
}

// run starts a process with the environment of the walls below env. Its files
// may be its terminal.
func (h *inside) run(argv, env []string, files [3]int, terminal bool) (*process, error) {
	env = slices.Concat(h.env, env)
	argv, err := h.loader.resolve(argv, env, h.root)
	if err != nil {
		return nil, err
	}
	return h.reaper.start(argv, env, h.root, files, terminal)
}

// await waits for done, but no longer than d.
func await(done <-chan struct{}, d time.Duration) {
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	}
}

// A pipe joins us to a command: our end does not block, theirs does.
type pipe struct {
	ours   *os.File
	theirs int
}

// open makes the pipe; towards them if input is set, else towards us.
func (p *pipe) open(input bool) error {
	fds, err := newPipe()
	if err != nil {
		return os.NewSyscallError("pipe", err)
	}
	ours, theirs := fds[0], fds[1]
	if input {
		ours, theirs = theirs, ours
	}
	_ = syscall.SetNonblock(ours, true)
	p.ours, p.theirs = os.NewFile(uintptr(ours), "pipe"), theirs
	return nil
}

func (p *pipe) closeTheirs() {
	if p.ours != nil && p.theirs >= 0 {
		_ = syscall.Close(p.theirs)
		p.theirs = -1
	}
}

func (p *pipe) close() {
	p.closeTheirs()
	if p.ours != nil {
		_ = p.ours.Close()
	}
}
