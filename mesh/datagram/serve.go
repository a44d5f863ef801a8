package datagram

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// Sessions bounds how many programs may speak through one socket at a
	// time; what others say is lost.
	Sessions = 1024
	// queued is how many datagrams of one program wait, while a stream is
	// opened or held up, before the next are lost.
	queued = 64
)

// Serve lets programs speak through a socket: for each of their addresses dial
// opens a stream, which lasts until nothing was said for idle. It returns when
// the socket fails, or ctx is done, which closes it; all sessions have ended
// then. Failed is told why a stream could not be opened.
func Serve(ctx context.Context, socket net.PacketConn, dial func(context.Context) (io.ReadWriteCloser, error), idle time.Duration, failed func(error)) error {
	ctx, cancel := context.WithCancel(ctx)
	s := &server{socket: socket, dial: dial, idle: idle, failed: failed, sessions: map[netip.AddrPort]*session{}}
	defer s.wg.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = socket.Close() })()
	b := make([]byte, Max)
	for {
		n, from, err := socket.ReadFrom(b)
		if err != nil {
			_ = socket.Close() // it is of no use any more
			return err
		}
		if at, ok := from.(interface{ AddrPort() netip.AddrPort }); ok {
			s.take(ctx, at.AddrPort(), from, append([]byte(nil), b[:n]...))
		}
	}
}

type server struct {
	socket net.PacketConn
	dial   func(context.Context) (io.ReadWriteCloser, error)
	idle   time.Duration
	failed func(error)
	wg     sync.WaitGroup

	mu       sync.Mutex
	sessions map[netip.AddrPort]*session
}

// take hands a datagram to its program's session, which may have to begin.
func (s *server) take(ctx context.Context, at netip.AddrPort, from net.Addr, p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.sessions[at]
	if x == nil {
		if len(s.sessions) >= Sessions {
			return
		}
		x = &session{socket: s.socket, to: from, in: make(chan []byte, queued), over: make(chan struct{})}
		s.sessions[at] = x
		s.wg.Go(func() {
			s.run(ctx, x)
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.sessions, at)
		})
	}
	select {
	case x.in <- p:
	default: // lost
	}
}

// run carries one session until it ends.
func (s *server) run(ctx context.Context, x *session) {
	stream, err := s.dial(ctx)
	if err != nil {
		s.failed(err)
		return
	}
	defer context.AfterFunc(ctx, func() { _ = x.Close() })()
	Carry(stream, x, s.idle, nil)
}

// A session is one program, as a socket that leads to it.
type session struct {
	socket net.PacketConn
	to     net.Addr
	in     chan []byte
	once   sync.Once
	over   chan struct{}
}

// Read returns what the program said next.
func (x *session) Read(p []byte) (int, error) {
	select {
	case b := <-x.in:
		return copy(p, b), nil
	case <-x.over:
		return 0, net.ErrClosed
	}
}

// Write says something to the program.
func (x *session) Write(p []byte) (int, error) { return x.socket.WriteTo(p, x.to) }

// Close ends the session.
func (x *session) Close() error {
	x.once.Do(func() { close(x.over) })
	return nil
}
