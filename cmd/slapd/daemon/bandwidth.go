package daemon

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// paceBurst is how far an instance may be ahead of its bandwidth: what was
// not used so long ago is lost.
const paceBurst = 100 * time.Millisecond

// A pace is one direction of an instance's bandwidth, shared by all its
// connections to other computers.
type pace struct {
	clock func() time.Time

	mu   sync.Mutex
	rate int64     // bytes a second
	due  time.Time // when all that was taken has been paid for
}

// take takes n bytes and returns how long to wait before the next.
func (p *pace) take(n int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock()
	if earliest := now.Add(-paceBurst); p.due.Before(earliest) {
		p.due = earliest
	}
	p.due = p.due.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	return p.due.Sub(now)
}

// piece is how much is taken at once: no connection keeps the others waiting
// for long.
func (p *pace) piece() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(min(max(p.rate/20, 2<<10), 1<<20))
}

// paces are those of the instances of this computer that have a bandwidth.
type paces struct {
	mu  sync.Mutex
	all map[ledger.InstanceID]*[2]pace // in, out
}

// hold holds a connection to the instance's bandwidth, if it has one.
func (p *paces) hold(c net.Conn, i ledger.Instance, v *ledger.State, clock func() time.Time) net.Conn {
	rate := i.Needs.Bandwidth / 8
	if rate <= 0 {
		return c
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	both, ok := p.all[i.ID]
	if !ok {
		for id := range p.all { // of those that are gone
			if old, ok := v.Instance(id); !ok || old.Settled() {
				delete(p.all, id)
			}
		}
		if p.all == nil {
			p.all = make(map[ledger.InstanceID]*[2]pace)
		}
		both = &[2]pace{{clock: clock}, {clock: clock}}
		p.all[i.ID] = both
	}
	for n := range both {
		both[n].mu.Lock()
		both[n].rate = rate
		both[n].mu.Unlock()
	}
	return &pacedConn{Conn: c, in: &both[0], out: &both[1], closed: make(chan struct{})}
}

// A pacedConn is a connection to an instance that keeps to its bandwidth.
type pacedConn struct {
	net.Conn
	in, out *pace
	once    sync.Once
	closed  chan struct{}
}

// Read takes what the instance says. A datagram is read whole.
func (c *pacedConn) Read(b []byte) (int, error) {
	if _, ok := c.Conn.(*net.UDPConn); !ok {
		b = b[:min(len(b), c.out.piece())]
	}
	n, err := c.Conn.Read(b)
	c.rest(c.out.take(n))
	return n, err
}

// Write brings b to the instance. A datagram is written whole.
func (c *pacedConn) Write(b []byte) (int, error) {
	written := 0
	for {
		piece := b[written:]
		if _, ok := c.Conn.(*net.UDPConn); !ok {
			piece = piece[:min(len(piece), c.in.piece())]
		}
		n, err := c.Conn.Write(piece)
		written += n
		if err != nil {
			return written, err
		}
		c.rest(c.in.take(n))
		if written == len(b) {
			return written, nil
		}
	}
}

// rest waits, or less if the connection is closed.
func (c *pacedConn) rest(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.closed:
	}
}

// Close ends the connection.
func (c *pacedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// CloseWrite tells the instance that nothing more comes.
func (c *pacedConn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.New("connection without half-close")
	}
	return half.CloseWrite()
}

// Reset ends the connection so that the instance gets an error.
func (c *pacedConn) Reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // so that Close sends a reset
	}
	_ = c.Close() // whatever it says, the connection is gone
}
