package consensus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// maxPeer bounds the name of a peer.
const maxPeer = 200

// seatID is the raft id, and the raft address, of a seat: "peer#number".
func seatID(peer string, seat uint64) string {
	return peer + "#" + strconv.FormatUint(seat, 10)
}

// splitSeat takes a raft id apart. What is not one has no peer.
func splitSeat(id string) (peer string, seat uint64) {
	peer, number, ok := strings.Cut(id, "#")
	if !ok {
		return "", 0
	}
	seat, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return "", 0
	}
	return peer, seat
}

// A link carries raft's streams over a [Transport]. A stream begins with a
// greeting, which names the seat that it is for: a version byte, the length of
// the id, the id. A peer that has another seat by now hangs up. So nobody
// takes it for the one before.
type link struct {
	// Set once.
	self      string
	transport Transport
	dial      func(peer string, timeout time.Duration) (net.Conn, error)

	mu     sync.Mutex
	open   map[*stream]struct{}
	closed bool
}

var _ raft.StreamLayer = (*link)(nil)

const (
	linkVersion = 1

	// maxStreams bounds the streams of one node, either way: a few for each
	// voter.
	maxStreams = 512
)

func newLink(self string, t Transport) (*link, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // raft dials without a context
	return &link{
		self:      self,
		transport: t,
		open:      map[*stream]struct{}{},
		dial: func(peer string, timeout time.Duration) (net.Conn, error) {
			dialing, done := context.WithTimeout(ctx, timeout)
			defer done()
			return t.Dial(dialing, peer)
		},
	}, cancel
}

// Dial implements [raft.StreamLayer].
func (l *link) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	id := string(address)
	peer, _ := splitSeat(id)
	if peer == "" || len(id) > 255 {
		return nil, fmt.Errorf("dial %q: not a seat", id)
	}
	conn, err := l.dial(peer, timeout)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(append([]byte{linkVersion, byte(len(id))}, id...)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return l.keep(&stream{Conn: conn, link: l, greeted: true})
}

// Accept implements [net.Listener]. The greeting is read by who reads the
// stream, so that a silent dialler delays no other.
func (l *link) Accept() (net.Conn, error) {
	conn, err := l.transport.Accept()
	if err != nil {
		return nil, err
	}
	return l.keep(&stream{Conn: conn, link: l})
}

func (l *link) keep(s *stream) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.open) >= maxStreams {
		return nil, errors.Join(fmt.Errorf("stream refused: %d are open: %w", len(l.open), net.ErrClosed), s.Conn.Close())
	}
	l.open[s] = struct{}{}
	return s, nil
}

// Close closes all streams and the transport.
func (l *link) Close() error {
	l.mu.Lock()
	open, closed := l.open, l.closed
	l.open, l.closed = nil, true
	l.mu.Unlock()
	if closed {
		return nil
	}
	err := l.transport.Close()
	for s := range open {
		_ = s.Conn.Close()
	}
	return err
}

// Addr implements [net.Listener].
func (l *link) Addr() net.Addr { return linkAddr(l.self) }

// A linkAddr is a raft id where raft wants a network address.
type linkAddr string

// Network implements [net.Addr].
func (a linkAddr) Network() string { return "seat" }

func (a linkAddr) String() string { return string(a) }

// A stream is one connection of a link.
type stream struct {
	net.Conn
	link    *link
	greeted bool // owned by the reader
}

// Read implements [net.Conn].
func (s *stream) Read(p []byte) (int, error) {
	if !s.greeted {
		if err := s.greet(); err != nil {
			return 0, err
		}
		s.greeted = true
	}
	return s.Conn.Read(p)
}

// greet reads the greeting and checks that this node is meant.
func (s *stream) greet() error {
	id, err := readGreeting(s.Conn)
	if err == nil && id != s.link.self {
		err = fmt.Errorf("greeting for seat %s at %s", id, s.link.self)
	}
	return err
}

func readGreeting(r io.Reader) (id string, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", err
	}
	if head[0] != linkVersion {
		return "", fmt.Errorf("greeting: version %d, want %d", head[0], linkVersion)
	}
	name := make([]byte, head[1])
	if _, err := io.ReadFull(r, name); err != nil {
		return "", fmt.Errorf("greeting: %w", err)
	}
	return string(name), nil
}

// Close implements [net.Conn].
func (s *stream) Close() error {
	s.link.mu.Lock()
	delete(s.link.open, s)
	s.link.mu.Unlock()
	return s.Conn.Close()
}
