package protocol

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"
)

// ConnectProtocol is the name under which the byte stream to a port of an
// instance is asked for in an HTTP Upgrade header.
const ConnectProtocol = "slapd-connect/1"

// A Conn is a connection to a port of an instance.
type Conn interface {
	io.ReadWriteCloser

	// CloseWrite tells the other end that no more comes; reading goes on.
	CloseWrite() error

	// Reset ends the connection at once: the other end gets an error rather
	// than an end.
	Reset()
}

// Framed returns a Conn over a byte stream, in frames of data, end and reset,
// so that all three pass whatever carries them, a Unix socket for instance.
// It reads from r, which may hold what came too early, and closes c.
func Framed(c io.WriteCloser, r io.Reader) Conn {
	return &framed{c: c, r: bufio.NewReaderSize(r, MaxFrame), out: NewFrameWriter(c)}
}

type framed struct {
	c   io.WriteCloser
	r   io.Reader
	out *FrameWriter

	left  uint32 // of the frame that is being read; owned by Read
	ended bool   // owned by Read
	once  sync.Once
}

// Read reads what came in data frames.
func (f *framed) Read(p []byte) (int, error) {
	for f.left == 0 {
		if f.ended {
			return 0, io.EOF
		}
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n, err := f.r.Read(p[:min(uint32(len(p)), f.left)])
	f.left -= uint32(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// next reads the head of a frame.
func (f *framed) next() error {
	var head [frameHeader]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return fmt.Errorf("the connection broke: %w", errors.Join(syscall.ECONNRESET, err)) // an end has a frame of its own
	}
	size := binary.BigEndian.Uint32(head[1:])
	switch kind := FrameKind(head[0]); {
	case size > MaxFrame:
		return fmt.Errorf("read frame: %d bytes are more than %d", size, MaxFrame)
	case kind == FrameData:
		f.left = size
	case kind == FrameEnd && size == 0:
		f.ended = true
	case kind == FrameReset && size == 0:
		return syscall.ECONNRESET
	default:
		return fmt.Errorf("read frame: kind %d with %d bytes does not belong here", kind, size)
	}
	return nil
}

// Write sends data frames.
func (f *framed) Write(p []byte) (int, error) { return f.out.Stream(FrameData).Write(p) }

// CloseWrite sends the end.
func (f *framed) CloseWrite() error { return f.out.Write(FrameEnd, nil) }

// Close closes what carries the frames.
func (f *framed) Close() error {
	var err error
	f.once.Do(func() { err = f.c.Close() })
	return err
}

// Reset says so, unless nothing can be written any more, and closes what
// carries the frames: the other end then sees that break.
func (f *framed) Reset() {
	f.once.Do(func() {
		stuck := time.AfterFunc(resetPatience, func() { _ = f.c.Close() })
		defer stuck.Stop()
		_ = f.out.Write(FrameReset, nil)
		_ = f.c.Close() // it is gone either way
	})
}

// resetPatience is how long a Write that is under way may hold up a Reset.
const resetPatience = 100 * time.Millisecond

// Carry carries bytes both ways until both directions ended or one failed. The
// end of one direction is passed on and leaves the other open; a failure
// resets both. Both are closed when it returns.
func Carry(a, b Conn) {
	broken := sync.OnceFunc(func() {
		a.Reset()
		b.Reset()
	})
	one := func(to, from Conn) {
		if _, err := io.CopyBuffer(onlyWriter{to}, onlyReader{from}, make([]byte, MaxFrame)); err != nil {
			broken()
			return
		}
		_ = to.CloseWrite() // fails only if there is nobody left to tell
	}
	var wg sync.WaitGroup
	wg.Go(func() { one(a, b) })
	one(b, a)
	wg.Wait()
	_ = a.Close() // both directions have ended
	_ = b.Close()
}

// onlyWriter and onlyReader hide the short cuts that io.Copy would take.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)
