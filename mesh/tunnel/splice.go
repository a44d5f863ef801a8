package tunnel

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// A resetter ends a connection so that the other end gets an error, as the
// streams of package mesh do.
type resetter interface{ Reset() }

// reset ends a connection with an error for the other end.
func reset(c net.Conn) {
	switch c := c.(type) {
	case resetter:
		c.Reset()
	case *net.TCPConn:
		_ = c.SetLinger(0) // so that Close sends a reset
		_ = c.Close()      // whatever it says, the connection is gone
	default:
		_ = c.Close() // the same
	}
}

// splice carries bytes both ways until both directions ended, or one failed.
// The end of one direction is passed on and leaves the other open; a failure
// resets both connections. The bytes of both directions are added to carried,
// if it is not nil.
func splice(a, b net.Conn, carried *atomic.Uint64) {
	var wg sync.WaitGroup
	broken := sync.OnceFunc(func() {
		reset(a)
		reset(b)
	})
	one := func(to, from net.Conn) {
		err := carry(to, from, carried)
		if err == nil {
			err = closeWrite(to)
		}
		if err != nil {
			broken()
		}
	}
	wg.Go(func() { one(a, b) })
	one(b, a)
	wg.Wait()
	_ = a.Close() // both directions have ended
	_ = b.Close()
}

// Buffers begin small, for most connections say little at a time, and double
// while reads fill them: a stream takes a large write much faster than the
// same bytes in small ones.
const (
	bufferMin = 16 << 10
	bufferMax = 512 << 10
)

// carry copies until from ends, and returns what failed, if anything did.
func carry(to io.Writer, from io.Reader, carried *atomic.Uint64) error {
	buffer := make([]byte, bufferMin)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			written, err := to.Write(buffer[:n])
			if carried != nil {
				carried.Add(uint64(max(0, written)))
			}
			if err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if n == len(buffer) && n < bufferMax {
			buffer = make([]byte, 2*n)
		}
	}
}

// closeWrite passes on the end of a direction. That the other end is gone
// already is no failure: it ended too.
func closeWrite(c net.Conn) error {
	h, ok := c.(interface{ CloseWrite() error })
	if !ok {
		return errors.New("tunnel: connection without half-close")
	}
	_ = h.CloseWrite() // fails only if there is nobody left to tell
	return nil
}
