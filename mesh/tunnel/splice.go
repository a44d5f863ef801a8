package tunnel

import (
	"errors"
	"io"
	"net"
	"sync"
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
// resets both connections.
func splice(a, b net.Conn) {
	var wg sync.WaitGroup
	broken := sync.OnceFunc(func() {
		reset(a)
		reset(b)
	})
	one := func(to, from net.Conn) {
		err := carry(to, from)
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
func carry(to io.Writer, from io.Reader) error {
	buffer := make([]byte, bufferMin)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
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
