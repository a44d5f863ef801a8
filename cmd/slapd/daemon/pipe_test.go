package daemon

import (
	"context"
	"errors"
	"net"
	"sync"
)

// A pipeListener is a listener in memory, whose connections are pipes. When
// it is closed they are cut, as those of a process that was killed are.
type pipeListener struct {
	incoming chan net.Conn
	closed   chan struct{}
	close    func()

	mu    sync.Mutex
	conns []net.Conn
}

func newPipeListener() *pipeListener {
	l := &pipeListener{incoming: make(chan net.Conn), closed: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.closed) })
	return l
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.incoming:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.close()
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

// dial connects to the listener.
func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	l.mu.Lock()
	l.conns = append(l.conns, here, there)
	l.mu.Unlock()
	select {
	case l.incoming <- there:
		return here, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: errors.New("nobody listens")}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// kill closes the listener and cuts every connection.
func (l *pipeListener) kill() {
	l.close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		_ = c.Close()
	}
}
