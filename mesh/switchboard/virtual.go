package switchboard

import (
	"net"
	"os"
	"sync"
	"time"
)

// virtualQueue is how many packets wait to be read by virtual connections;
// more are dropped, as a socket does.
const virtualQueue = 1024

// packet is one that waits.
type packet struct {
	buffer *[]byte
	from   *net.UDPAddr
}

// virtual is a socket whose addresses are peers.
type virtual struct {
	board   *Board
	packets chan packet
	buffers sync.Pool // for one packet each
	batches sync.Pool // for many

	mu       sync.Mutex
	timer    *time.Timer
	deadline chan struct{} // closed when it passed
	closed   chan struct{}
	once     sync.Once
}

var _ net.PacketConn = (*virtual)(nil)

func newVirtual(b *Board) *virtual {
	return &virtual{
		board: b, packets: make(chan packet, virtualQueue),
		buffers:  sync.Pool{New: func() any { p := make([]byte, 0, maxEnvelope); return &p }},
		batches:  sync.Pool{New: func() any { return new([]byte) }},
		deadline: make(chan struct{}), closed: make(chan struct{}),
	}
}

// deliver queues a packet for ReadFrom.
func (v *virtual) deliver(content []byte, from *net.UDPAddr) {
	p := v.buffers.Get().(*[]byte)
	*p = append((*p)[:0], content...)
	select {
	case v.packets <- packet{p, from}:
	default:
		v.buffers.Put(p)
	}
}

// ReadFrom returns the next packet and the peer's address.
func (v *virtual) ReadFrom(b []byte) (int, net.Addr, error) {
	v.mu.Lock()
	deadline := v.deadline
	v.mu.Unlock()
	select {
	case p := <-v.packets:
		n := copy(b, *p.buffer)
		v.buffers.Put(p.buffer)
		return n, p.from, nil
	case <-deadline:
		return 0, nil, os.ErrDeadlineExceeded
	case <-v.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo sends a packet on the way that leads to the address now. Without
// one it is dropped, as a network drops it.
func (v *virtual) WriteTo(b []byte, to net.Addr) (int, error) {
	select {
	case <-v.closed:
		return 0, net.ErrClosed
	default:
	}
	u, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, &net.AddrError{Err: "not the address of a peer", Addr: to.String()}
	}
	hop, ok := v.board.lookup(u)
	if !ok {
		return len(b), nil
	}
	p := v.buffers.Get().(*[]byte)
	*p = append(Header((*p)[:0], Carry, hop.Label), b...)
	v.board.Send(hop.Carrier, *p)
	v.buffers.Put(p)
	return len(b), nil
}

// Close ends ReadFrom.
func (v *virtual) Close() error {
	v.once.Do(func() { close(v.closed) })
	return nil
}

// LocalAddr is that of the socket.
func (v *virtual) LocalAddr() net.Addr { return v.board.LocalAddr() }

// SetReadDeadline ends ReadFrom at a time; zero lets it wait for ever.
func (v *virtual) SetReadDeadline(t time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.timer != nil {
		v.timer.Stop()
		v.timer = nil
	}
	passed := false
	select {
	case <-v.deadline:
		passed = true
	default:
	}
	wait := time.Until(t)
	if passed && (t.IsZero() || wait > 0) {
		v.deadline = make(chan struct{})
	}
	switch {
	case t.IsZero():
	case wait > 0:
		deadline := v.deadline
		v.timer = time.AfterFunc(wait, func() { v.pass(deadline) })
	case !passed:
		close(v.deadline)
	}
	return nil
}

// pass notes that a deadline passed, unless it was replaced meanwhile.
func (v *virtual) pass(deadline chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.timer != nil && v.deadline == deadline {
		v.timer = nil
		close(deadline)
	}
}

// SetReadBuffer does nothing: the queue has its length.
func (*virtual) SetReadBuffer(int) error { return nil }

// SetWriteBuffer does nothing: there is none.
func (*virtual) SetWriteBuffer(int) error { return nil }

// SetWriteDeadline does nothing: writing does not wait.
func (*virtual) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline is that of reading.
func (v *virtual) SetDeadline(t time.Time) error { return v.SetReadDeadline(t) }
