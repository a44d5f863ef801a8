package tunnel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/datagram"
)

const (
	// greeting bounds how long a peer may take to say what it wants, and the
	// instance to accept.
	greeting = 10 * time.Second

	defaultConnections        = 4096
	defaultConnectionsPerPeer = 1024
)

// A ServeConfig says whom the hosting end lets connect to what. Authorize is
// required.
type ServeConfig struct {
	// Authorize decides whether a peer may have what it wants. It must refuse
	// whatever is not the address of an instance of this computer, and believe
	// nothing that the peer says of itself.
	Authorize func(peer mesh.PeerID, want Want) error
	// Dial connects to an instance of this computer. Default: TCP, or UDP if
	// that is wanted.
	Dial func(ctx context.Context, want Want) (net.Conn, error)
	// Count returns where the bytes that are carried to and from an address
	// are added up, or nil for nowhere. It is asked once for each connection.
	// A byte counts when it has been handed on. Default: nowhere.
	Count func(address netip.AddrPort) *atomic.Uint64
	// Connections bounds how many are open, ConnectionsPerPeer how many from
	// one peer. Default 4096 and 1024.
	Connections        int
	ConnectionsPerPeer int
	// Log receives what is refused. Default: nothing is logged.
	Log *slog.Logger
}

func (c ServeConfig) withDefaults() (ServeConfig, error) {
	if c.Authorize == nil {
		return c, errors.New("tunnel: config: Authorize required")
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, want Want) (net.Conn, error) {
			network := "tcp"
			if want.UDP {
				network = "udp"
			}
			return new(net.Dialer).DialContext(ctx, network, want.Address.String())
		}
	}
	if c.Count == nil {
		c.Count = func(netip.AddrPort) *atomic.Uint64 { return nil }
	}
	if c.Connections <= 0 {
		c.Connections = defaultConnections
	}
	if c.ConnectionsPerPeer <= 0 {
		c.ConnectionsPerPeer = defaultConnectionsPerPeer
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Serve carries the streams of a listener for mesh.KindTunnel to the
// instances of this computer. It returns nil when ctx is done, after all
// connections ended, or an error if the listener fails before.
func Serve(ctx context.Context, l net.Listener, c ServeConfig) error {
	c, err := c.withDefaults()
	if err != nil {
		return err
	}
	s := &server{config: c, open: newCount(c.Connections, c.ConnectionsPerPeer)}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for {
		stream, err := l.Accept()
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("tunnel: accept: %w", err)
		}
		wg.Go(func() { s.serve(ctx, stream) })
	}
}

type server struct {
	config ServeConfig
	open   *count
}

// serve answers one stream and carries it to the instance.
func (s *server) serve(ctx context.Context, stream net.Conn) {
	defer context.AfterFunc(ctx, func() { reset(stream) })()
	instance, want, answer, err := s.connect(ctx, stream)
	if err != nil {
		s.config.Log.Debug("tunnel refused", "peer", mesh.PeerOf(stream).Short(), "err", err)
	}
	if _, err = stream.Write([]byte{answer}); instance == nil {
		_ = stream.Close() // the answer is still delivered
		return
	}
	defer s.open.leave(mesh.PeerOf(stream))
	defer context.AfterFunc(ctx, func() { reset(instance) })()
	if err != nil {
		reset(instance)
		return
	}
	if want.UDP {
		datagram.Carry(stream, instance, datagram.Idle, s.config.Count(want.Address))
		return
	}
	splice(stream, instance, s.config.Count(want.Address))
}

// connect reads what the peer wants, and dials it. A connection that it
// returns is counted.
func (s *server) connect(ctx context.Context, stream net.Conn) (_ net.Conn, want Want, answer byte, err error) {
	peer := mesh.PeerOf(stream)
	ctx, cancel := context.WithTimeout(ctx, greeting)
	defer cancel()
	inTime := context.AfterFunc(ctx, func() { reset(stream) })
	want, err = readHeader(stream)
	if !inTime() {
		return nil, want, answerMalformed, context.Cause(ctx)
	}
	if err != nil {
		return nil, want, answerMalformed, err
	}
	if err := s.config.Authorize(peer, want); err != nil {
		return nil, want, answerForbidden, err
	}
	if !s.open.enter(peer) {
		return nil, want, answerBusy, errAnswer[answerBusy]
	}
	instance, err := s.config.Dial(ctx, want)
	if err != nil {
		s.open.leave(peer)
		return nil, want, answerDown, err
	}
	return instance, want, answerYes, nil
}

// A count bounds how many connections are open, in all and for each peer.
type count struct {
	limit, perPeer int

	mu    sync.Mutex
	all   int
	peers map[mesh.PeerID]int
}

func newCount(limit, perPeer int) *count {
	return &count{limit: limit, perPeer: perPeer, peers: map[mesh.PeerID]int{}}
}

func (c *count) enter(peer mesh.PeerID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= c.limit || c.peers[peer] >= c.perPeer {
		return false
	}
	c.all++
	c.peers[peer]++
	return true
}

func (c *count) leave(peer mesh.PeerID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.peers[peer]--; c.peers[peer] == 0 {
		delete(c.peers, peer)
	}
}
