package mesh

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/quic-go/quic-go"
)

// A Kind says what a stream carries: it is the stream's first byte.
type Kind byte

// The kinds of streams.
const (
	kindGossip Kind = 1
	KindRaft   Kind = 2 // consensus between voters
	KindRPC    Kind = 3 // HTTP between daemons
	KindTunnel Kind = 4 // bytes from and to an instance
	kindRelay  Kind = 5 // reserved: a stream that is passed on
	kindPath   Kind = 6 // arranging how peers reach one another

	kindTiers Kind = 16 // who is attached to whom

	KindTrees Kind = 24 // built releases

	KindHandover Kind = 34 // data of instances that move
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case kindGossip:
		return "gossip"
	case KindRaft:
		return "raft"
	case KindRPC:
		return "rpc"
	case KindTunnel:
		return "tunnel"
	case kindRelay:
		return "relay"
	case kindPath:
		return "path"
	case kindTiers:
		return "tiers"
	case KindTrees:
		return "trees"
	case KindHandover:
		return "handover"
	}
	return "unknown"
}

// An Addr is a peer as the end of a stream.
type Addr struct{ Peer PeerID }

// Network is always "mesh".
func (Addr) Network() string { return "mesh" }

// String is the peer's id.
func (a Addr) String() string { return string(a.Peer) }

// PeerOf says who is at the other end of a stream of this package, or "" if
// conn is another kind of connection.
func PeerOf(conn net.Conn) PeerID {
	if a, ok := conn.RemoteAddr().(Addr); ok {
		return a.Peer
	}
	return ""
}

// A HalfCloser is what each stream of this package is besides a net.Conn.
type HalfCloser interface {
	// CloseWrite tells the other end that no more comes; reading goes on.
	CloseWrite() error
	// Reset ends the stream at once; the other end gets an error rather than
	// an end of file.
	Reset()
}

// errReset is read where the other end reset the stream.
var errReset error = syscall.ECONNRESET

const (
	streamClosed quic.StreamErrorCode = 0
	streamReset  quic.StreamErrorCode = 1
)

// conn is one QUIC stream as a net.Conn.
type conn struct {
	*quic.Stream
	local, remote PeerID
	link          *link
	opened        bool   // by this peer
	release       func() // called once, when the stream is closed

	once    sync.Once
	closed  atomic.Bool
	writing sync.Mutex // held while a Write is under way
}

var (
	_ net.Conn   = (*conn)(nil)
	_ HalfCloser = (*conn)(nil)
)

// LocalAddr is this peer.
func (c *conn) LocalAddr() net.Addr { return Addr{c.local} }

// RemoteAddr is the other peer.
func (c *conn) RemoteAddr() net.Addr { return Addr{c.remote} }

// Read is that of a stream, with the errors that network code expects.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Stream.Read(p)
	if err != nil {
		err = c.translate(err)
	}
	return n, err
}

// Write is that of a stream, with the errors that network code expects.
func (c *conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.opened {
		c.link.wrote.Add(1)
	}
	n, err := c.Stream.Write(p)
	if err != nil {
		err = c.translate(err)
	}
	return n, err
}

// translate names a failure as net.Conn does.
func (c *conn) translate(err error) error {
	var s *quic.StreamError
	switch {
	case c.closed.Load():
		return net.ErrClosed
	case errors.As(err, &s) && s.Remote:
		return &net.OpError{Op: "stream", Net: "mesh", Addr: Addr{c.remote}, Err: errReset}
	}
	return err
}

// CloseWrite sends the end of the stream; reading goes on.
func (c *conn) CloseWrite() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.Stream.Close()
}

// Close ends both directions. What was written before is still delivered; a
// Write that is under way is given up.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.closed.Store(true)
		// Unless reading is given up too, the stream lives until the other
		// end closes its half, and keeps its place among the open ones.
		c.CancelRead(streamClosed)
		if c.writing.TryLock() {
			_ = c.Stream.Close() // fails only if the stream is reset already
			c.writing.Unlock()
		} else {
			c.CancelWrite(streamReset)
		}
		c.link.forget(c)
		c.release()
	})
	return nil
}

// Reset ends both directions at once.
func (c *conn) Reset() {
	c.once.Do(func() {
		c.closed.Store(true)
		c.CancelRead(streamReset)
		c.CancelWrite(streamReset)
		c.link.forget(c)
		c.release()
	})
}
