package mesh

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeBuffer is how much may be written ahead of the reader.
const pipeBuffer = 64 << 10

// newPipe returns both ends of a stream of a peer to itself. It behaves as a
// stream between two peers does: buffered, with half-close and deadlines.
func newPipe(addr Addr) (a, b net.Conn) {
	x, y := newHalf(), newHalf()
	return &pipeEnd{addr, x, y}, &pipeEnd{addr, y, x}
}

// pipeEnd is one end: it reads one half and writes the other.
type pipeEnd struct {
	addr    Addr
	in, out *half
}

// Read reads what the other end wrote.
func (p *pipeEnd) Read(b []byte) (int, error) { return p.in.read(b) }

// Write holds up while the buffer is full.
func (p *pipeEnd) Write(b []byte) (int, error) { return p.out.write(b) }

// LocalAddr is this peer.
func (p *pipeEnd) LocalAddr() net.Addr { return p.addr }

// RemoteAddr is this peer too.
func (p *pipeEnd) RemoteAddr() net.Addr { return p.addr }

// SetReadDeadline never fails.
func (p *pipeEnd) SetReadDeadline(t time.Time) error {
	p.in.readers.set(p.in, t)
	return nil
}

// SetWriteDeadline never fails.
func (p *pipeEnd) SetWriteDeadline(t time.Time) error {
	p.out.writers.set(p.out, t)
	return nil
}

// SetDeadline sets both deadlines.
func (p *pipeEnd) SetDeadline(t time.Time) error {
	return errors.Join(p.SetReadDeadline(t), p.SetWriteDeadline(t))
}

// CloseWrite lets the other end read what there is, and then the end.
func (p *pipeEnd) CloseWrite() error {
	p.out.finish(io.EOF, net.ErrClosed)
	return nil
}

// Close ends both directions; what was written is still read.
func (p *pipeEnd) Close() error {
	p.out.finish(io.EOF, net.ErrClosed)
	p.in.abandon(net.ErrClosed, errReset)
	return nil
}

// Reset ends both directions; the other end reads an error.
func (p *pipeEnd) Reset() {
	p.out.abandon(errReset, net.ErrClosed)
	p.in.abandon(net.ErrClosed, errReset)
}

// half is one direction of a pipe.
type half struct {
	mu       sync.Mutex
	wake     sync.Cond
	buffer   []byte
	readErr  error // once the buffer is empty
	writeErr error
	readers  deadline
	writers  deadline
}

func newHalf() *half {
	h := new(half)
	h.wake.L = &h.mu
	return h
}

func (h *half) read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.readers.passed:
			return 0, os.ErrDeadlineExceeded
		case len(h.buffer) > 0:
			n := copy(b, h.buffer)
			h.buffer = h.buffer[n:]
			h.wake.Broadcast()
			return n, nil
		case h.readErr != nil:
			return 0, h.readErr
		case len(b) == 0:
			return 0, nil
		}
		h.wake.Wait()
	}
}

func (h *half) write(b []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch room := pipeBuffer - len(h.buffer); {
		case h.writers.passed:
			return n, os.ErrDeadlineExceeded
		case h.writeErr != nil:
			return n, h.writeErr
		case len(b) == 0:
			return n, nil
		case room > 0:
			k := min(room, len(b))
			h.buffer = append(h.buffer, b[:k]...)
			b, n = b[k:], n+k
			h.wake.Broadcast()
			continue
		}
		h.wake.Wait()
	}
}

// finish ends the direction after what is buffered.
func (h *half) finish(readErr, writeErr error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readErr == nil {
		h.readErr = readErr
	}
	if h.writeErr == nil {
		h.writeErr = writeErr
	}
	h.wake.Broadcast()
}

// abandon ends the direction and drops what is buffered.
func (h *half) abandon(readErr, writeErr error) {
	h.finish(readErr, writeErr)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buffer = nil
}

// deadline is guarded by the mutex of its half.
type deadline struct {
	timer  *time.Timer
	turn   int // tells a timer that was replaced
	passed bool
}

func (d *deadline) set(h *half, t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
	d.turn++
	d.passed = false
	if t.IsZero() {
		return
	}
	turn := d.turn
	d.timer = time.AfterFunc(max(0, time.Until(t)), func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if d.turn == turn {
			d.passed = true
			h.wake.Broadcast()
		}
	})
}
