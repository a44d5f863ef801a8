package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/partition"
	"github.com/slapmesh/slapmesh/partition/supervisor"
	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/client"
)

// Logs and programs are where the instance is: a call about one that runs on
// another computer is passed on to its peer.

// Logs implements [protocol.Sessions].
func (s *service) Logs(ctx context.Context, ref protocol.Ref, q protocol.LogQuery) (io.ReadCloser, error) {
	i, host, err := s.host(ctx, ref, lookLogs)
	if err != nil {
		return nil, err
	}
	if host != nil {
		logs, err := host.Logs(ctx, accountRef(i), q)
		if err != nil {
			return nil, errors.Join(err, host.Close())
		}
		return closeBoth{logs, host}, nil
	}
	logs, err := s.logs(ctx, i, q)
	return logs, sessionError("logs", ref, err)
}

type closeBoth struct {
	io.ReadCloser
	after io.Closer
}

// Close closes the logs, then the client that they came through.
func (c closeBoth) Close() error { return errors.Join(c.ReadCloser.Close(), c.after.Close()) }

// Exec implements [protocol.Sessions].
func (s *service) Exec(ctx context.Context, ref protocol.Ref, in protocol.ExecInput, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	i, host, err := s.host(ctx, ref, lookExec)
	if err != nil {
		return 0, err
	}
	if host != nil {
		defer func() { _ = host.Close() }()
		return host.Exec(ctx, accountRef(i), in, stdin, stdout, stderr)
	}
	e := supervisor.Exec{Argv: in.Argv, Stdin: stdin, Stdout: stdout, Stderr: stderr}
	if t := in.Terminal; t != nil {
		e.Env = []string{"TERM=" + t.Type}
		e.Terminal = new(supervisor.Size(t.Size))
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		e.Sizes = sizesOf(ctx, in.Sizes)
	}
	code, err := s.agent.Exec(ctx, i, e)
	return code, sessionError("exec", ref, err)
}

// sizesOf says in the partitions' words what the caller's terminal says, until
// ctx is done.
func sizesOf(ctx context.Context, sizes <-chan protocol.TerminalSize) <-chan supervisor.Size {
	out := make(chan supervisor.Size)
	go func() {
		for {
			select {
			case size := <-sizes:
				select {
				case out <- supervisor.Size(size):
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// sessionError says why a look into an instance failed: what stands in the
// way is there, not in this peer, and the caller may know it.
func sessionError(what string, ref protocol.Ref, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, partition.ErrNotHere), errors.Is(err, supervisor.ErrNotRunning):
		return protocol.Errorf(protocol.ErrConflict, "%s %s: it does not run now: see slapd show %s", what, ref.Reference, ref.Reference)
	case errors.Is(err, context.Canceled):
		return err
	}
	return protocol.Errorf(protocol.ErrInvalid, "%s %s: %v", what, ref.Reference, err)
}

// accountRef names an instance fully, for a peer to which the caller's
// account means nothing, and which may not know what is above a child.
func accountRef(i ledger.Instance) protocol.Ref {
	if i.Parent != 0 {
		return protocol.Ref{Reference: i.ID.String(), Account: string(i.Account)}
	}
	return protocol.Ref{Reference: string(i.Reference), Account: string(i.Account)}
}

// host finds an instance and, if it runs on another computer, how to ask that
// one; nil means here.
func (s *service) host(ctx context.Context, ref protocol.Ref, what look) (ledger.Instance, *client.Client, error) {
	v := s.books.View()
	i, err := s.lookedInto(v, ref, what)
	if err != nil {
		return i, nil, err
	}
	peer := mesh.PeerID(i.Computer)
	switch c, _ := v.Computer(i.Computer); {
	case i.Settled():
		return i, nil, protocol.Errorf(protocol.ErrNotFound, "%s %s: it was destroyed", what, ref.Reference)
	case i.Shared:
		return i, nil, protocol.Errorf(protocol.ErrConflict, "%s %s: it is shared, and has nothing of its own to look into: %s, inside which it is, has", what, ref.Reference, i.Host)
	case peer == s.mesh.Self():
		return i, nil, nil
	case s.caller.remote:
		return i, nil, protocol.Errorf(protocol.ErrConflict, "%s %s: it is not on this computer", what, ref.Reference)
	case c.State == ledger.ComputerLost:
		return i, nil, protocol.Errorf(protocol.ErrUnavailable, "%s %s: its computer %s has not answered since %s", what, ref.Reference, c.Name, c.Since.Local().Format("15:04:05"))
	}
	cfg := s.towards(peer)
	if s.caller.token != nil {
		if cfg.Authorization, err = s.lookTicket(ctx, i.ID, what); err != nil {
			return i, nil, err
		}
	}
	host, err := client.New(cfg)
	if err != nil {
		return i, nil, fmt.Errorf("%s %s: %w", what, ref.Reference, err)
	}
	return i, host, nil
}

// towards is how another peer is asked.
func (s *service) towards(peer mesh.PeerID) client.Config {
	return client.Config{Dial: func(ctx context.Context) (net.Conn, error) { return s.mesh.Dial(ctx, peer, mesh.KindRPC) }}
}

// passOn asks another peer on behalf of the caller: one that keeps the ledger,
// and knows the token from there.
func (s *service) passOn(peer mesh.PeerID) (*client.Client, error) {
	cfg := s.towards(peer)
	if s.caller.token != nil {
		cfg.Authorization = "Bearer " + s.caller.token.String()
	}
	return client.New(cfg)
}
