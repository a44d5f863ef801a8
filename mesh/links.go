package mesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/slapmesh/slapmesh/mesh/switchboard"
)

const (
	// pendingGossip is how many datagrams wait while a connection is made.
	pendingGossip = 8
)

// errNoAddress is returned where nothing is known of a peer.
var errNoAddress = errors.New("no address is known")

// links holds the connections to other peers, all over one socket.
type links struct {
	wall    *wall
	book    *book
	profile Profile
	sources *sources
	log     *slog.Logger
	// what to do with what arrives; set before start
	onStream   func(*link, *quic.Stream)
	onDatagram func(PeerID, []byte)
	onJoin     func(*quic.Conn)
	onRemoved  func(by PeerID)

	ctx       context.Context //nolint:containedctx // the life of the connections, which no single call spans
	stop      context.CancelFunc
	transport *quic.Transport
	virtual   *quic.Transport // over the switchboard
	socket    net.PacketConn  // that both use
	paths     *paths
	listeners []*quic.Listener
	fallback  *fallback // nil: there is no TCP
	wg        sync.WaitGroup

	mu      sync.Mutex
	conns   map[PeerID][]*link // the newest last
	dials   map[PeerID]*dialling
	backoff map[PeerID]*backoff // of dials for gossip
	ended   Bytes               // what connections carried that are forgotten
	closed  bool
}

// dialling is a connection being made, which all who want it wait for.
type dialling struct {
	done    chan struct{}
	link    *link // set before done is closed
	err     error
	pending [][]byte // gossip to send once it is made
}

// newTransport wraps the socket. The key for stateless resets is derived from
// the identity, so that after a crash others learn at the first packet that
// their old connections are dead.
func newTransport(socket net.PacketConn, identity *Identity, clock func() time.Time) *quic.Transport {
	reset := quic.StatelessResetKey(identity.secret("stateless reset"))
	limiter := &bucket{clock: clock, rate: handshakesPerSecond}
	return &quic.Transport{
		Conn:                socket,
		ConnectionIDLength:  8,
		StatelessResetKey:   &reset,
		VerifySourceAddress: func(net.Addr) bool { return !limiter.take() },
	}
}

// quicConfig is the same at both ends of each connection.
func quicConfig(p Profile) *quic.Config {
	return &quic.Config{
		EnableDatagrams:       true,
		HandshakeIdleTimeout:  p.Handshake,
		MaxIdleTimeout:        p.Idle,
		MaxIncomingStreams:    streamsPerLink,
		MaxIncomingUniStreams: -1,
	}
}

// virtualConfig is the same for connections through the switchboard, whose
// packets must fit into envelopes on any way.
func virtualConfig(p Profile) *quic.Config {
	c := quicConfig(p)
	c.InitialPacketSize, c.DisablePathMTUDiscovery = switchboard.PacketSize, true
	return c
}

// start accepts connections.
func (s *links) start() error {
	direct := s.sources.limited(quicConfig(s.profile))
	if err := s.accept(s.transport, direct, false); err != nil {
		return err
	}
	if s.fallback = s.paths.listenTCP(s.socket); s.fallback != nil {
		s.spawn(s.fallback.serve)
	}
	return s.accept(s.virtual, virtualConfig(s.profile), true)
}

func (s *links) accept(transport *quic.Transport, config *quic.Config, virtual bool) error {
	listener, err := transport.Listen(s.wall.server(), config)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s.listeners = append(s.listeners, listener)
	s.spawn(func() {
		for {
			c, err := listener.Accept(s.ctx)
			if err != nil {
				return // closed
			}
			if at, ok := addrPortOf(c.RemoteAddr()); ok && !virtual {
				s.paths.reach.incoming(at.Addr())
			}
			if c.ConnectionState().TLS.NegotiatedProtocol == alpnJoin {
				s.spawn(func() { s.onJoin(c) })
				continue
			}
			s.adopt(&link{conn: c, virtual: virtual})
		}
	})
	return nil
}

// spawn runs f in a goroutine that close waits for.
func (s *links) spawn(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.wg.Go(f)
	}
}

// adopt takes charge of an established connection. It returns nil if there is
// no place for it any more.
func (s *links) adopt(l *link) *link {
	state := l.conn.ConnectionState().TLS
	l.unnamed = make(chan struct{}, streamsUnnamed)
	l.peer, l.expires, l.heardAt = peerOfState(state), state.PeerCertificates[0].NotAfter, s.wall.clock()
	if own := s.wall.leaf().NotAfter; own.Before(l.expires) {
		l.expires = own
	}
	if at, ok := addrPortOf(l.conn.RemoteAddr()); ok && !l.virtual {
		l.hole = s.paths.throughHole(l.peer, at)
		l.bearing = s.paths.bearing(l)
	}
	removed := s.wall.revoked(l.peer)
	s.mu.Lock()
	if s.closed || removed {
		s.mu.Unlock()
		s.end(l, codeRemoved, "removed from the mesh")
		return nil
	}
	if len(s.conns) >= linkedPeers && s.conns[l.peer] == nil {
		s.mu.Unlock()
		s.end(l, codeSurplus, "too many connections") // it never was one
		return nil
	}
	held := slices.DeleteFunc(s.conns[l.peer], func(l *link) bool {
		if !l.alive() {
			s.ended = s.ended.plus(l)
		}
		return !l.alive()
	})
	var surplus *link
	if len(held) >= linksPerPeer {
		surplus, held = held[0], held[1:]
		s.ended = s.ended.plus(surplus)
	}
	for _, old := range held {
		if old.virtual && !l.virtual {
			old.retired.Store(true) // an ordinary connection costs less
		}
	}
	s.conns[l.peer] = append(held, l)
	delete(s.backoff, l.peer)
	s.mu.Unlock()
	if surplus != nil {
		s.end(surplus, codeSurplus, "too many connections")
	}
	s.noteReached(l)
	s.spawn(func() { s.acceptStreams(l) })
	s.spawn(func() { s.receive(l) })
	if at, ok := addrPortOf(l.conn.RemoteAddr()); ok && !l.virtual {
		l.send(seenDatagram(at), s.spawn)
	}
	if l.virtual {
		s.spawn(func() { s.paths.improve(s.ctx, l) })
	}
	return l
}

// noteReached writes down that a connection to a peer works, and how.
func (s *links) noteReached(l *link) {
	address := ""
	if !l.virtual {
		address = l.conn.RemoteAddr().String()
	}
	how, via := s.how(l)
	s.book.reached(l.peer, address, how, via)
}

// how says how a connection leads to its peer, and who relays it.
func (s *links) how(l *link) (how Path, via PeerID) {
	switch {
	case l.hole && s.paths.bothHidden(l.peer):
		return PathPunched, ""
	case !l.virtual:
		return PathDirect, ""
	}
	if w := s.paths.present(l.peer); w != nil {
		return pathOf(w.kind), w.via
	}
	return PathRelayed, "" // it is being looked for
}

// drop forgets a connection that ended.
func (s *links) drop(l *link) {
	if l.bearing != nil {
		s.paths.forget(l.bearing)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := slices.Index(s.conns[l.peer], l)
	if n < 0 {
		return
	}
	s.ended = s.ended.plus(l)
	held := slices.Delete(s.conns[l.peer], n, n+1)
	if len(held) == 0 {
		delete(s.conns, l.peer)
	} else {
		s.conns[l.peer] = held
	}
}

// end closes a connection for a reason and forgets it.
func (s *links) end(l *link, code quic.ApplicationErrorCode, reason string) {
	s.drop(l)
	_ = l.conn.CloseWithError(code, reason) // it is on its way out whatever happens
}

// held returns the connection to use for a peer, or nil.
func (s *links) held(id PeerID) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heldLocked(id)
}

// heldLocked prefers ordinary connections, and of those the newest.
func (s *links) heldLocked(id PeerID) *link {
	var held *link
	for _, l := range slices.Backward(s.conns[id]) {
		if l.alive() && !l.retired.Load() && (held == nil || held.virtual && !l.virtual) {
			held = l
		}
	}
	return held
}

// virtuals counts the connections to a peer that run through the switchboard.
func (s *links) virtuals(id PeerID) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.conns[id] {
		if l.virtual && l.alive() {
			n++
		}
	}
	return n
}

// endVirtual closes the connections to a peer for which there is no way left.
func (s *links) endVirtual(id PeerID) {
	for _, l := range s.all() {
		if l.peer == id && l.virtual {
			s.end(l, codeSilent, "no way is left")
		}
	}
	s.lost(id)
}

// dialled reports whether the peer answered this one at an address of its.
func (s *links) dialled(id PeerID) bool {
	l := s.held(id)
	return l != nil && l.dialled && s.paths.carrier(l) != nil
}

// all returns every connection.
func (s *links) all() []*link {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*link
	for _, held := range s.conns {
		all = append(all, held...)
	}
	return all
}

// disconnect closes every connection to a peer.
func (s *links) disconnect(id PeerID, code quic.ApplicationErrorCode, reason string) {
	s.mu.Lock()
	held := slices.Clone(s.conns[id])
	s.mu.Unlock()
	for _, l := range held {
		s.end(l, code, reason)
	}
}

// retire leaves the present connections to the streams that use them: after
// a renewal, new ones show the new certificate.
func (s *links) retire() {
	for _, l := range s.all() {
		l.retired.Store(true)
	}
}

// close ends all connections and waits for whatever runs on them.
func (s *links) close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	for _, l := range s.all() {
		s.end(l, codeClosing, "closing")
	}
	var errs []error
	if s.fallback != nil {
		errs = append(errs, s.fallback.listener.Close())
	}
	for _, listener := range s.listeners {
		errs = append(errs, listener.Close())
	}
	errs = append(errs, s.virtual.Close(), s.transport.Close(), s.transport.Conn.Close())
	s.wg.Wait()
	return errors.Join(errs...)
}
