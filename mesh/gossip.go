package mesh

import (
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/slapmesh/slapmesh/mesh/tiers"
)

const (
	// gossipPacket is what fits a datagram on any path, with room for an
	// envelope.
	gossipPacket = 1100
	// gossipQueue is how many datagrams wait for memberlist.
	gossipQueue = 256
	// joinAtOnce is how many peers a newcomer tells of itself directly.
	joinAtOnce = 5
)

// gossip runs memberlist over the links. memberlist knows names only: the
// address of each peer is made up from its id and never changes; where the
// peer really is stands in its signed descriptor, which travels as the node's
// metadata.
type gossip struct {
	self    PeerID
	wall    *wall
	book    *book
	links   *links
	streams *streams
	tiers   *tiers.Tiers // set before the first list
	log     *slog.Logger

	incoming *listener
	pool     atomic.Pointer[pool] // nil while this peer is attached to others
	changing chan struct{}        // has a value while pool is made or left, which takes a while
	closed   atomic.Bool

	traffic counter
	own     atomic.Pointer[Descriptor] // what this peer says of itself
	unsaid  chan struct{}              // receives a value when it should say something new

	mu       sync.Mutex
	verified map[string]Descriptor // descriptors whose signature was checked, by their bytes
}

// A pool is one life of the member list.
type pool struct {
	list     *memberlist.Memberlist
	packets  chan *memberlist.Packet
	accepted chan net.Conn
	ended    chan struct{}

	mu   sync.Mutex // held while something is told of it
	over bool
}

// end ends it without a word. Nothing is told of it from then on.
func (p *pool) end() error {
	close(p.ended)
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	return p.list.Shutdown()
}

// tell runs f unless the pool has ended: memberlist's timers of suspicion go on,
// and would speak of peers that the next pool knows better.
func (p *pool) tell(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		f()
	}
}

// newGossip prepares all but the member list.
func newGossip(w *wall, b *book, l *links, s *streams, own Descriptor, logger *slog.Logger) *gossip {
	g := &gossip{
		self: w.identity.ID(), wall: w, book: b, links: l, streams: s, log: logger,
		incoming: s.listen(kindGossip),
		changing: make(chan struct{}, 1),
		verified: map[string]Descriptor{},
		unsaid:   make(chan struct{}, 1),
	}
	g.own.Store(&own)
	b.put(own)
	l.onDatagram = g.packet
	l.spawn(g.accept)
	return g
}

// start makes the member list, which knows only this peer at first, unless
// there is one.
func (g *gossip) start() (*pool, error) {
	g.changing <- struct{}{}
	defer func() { <-g.changing }()
	if p := g.pool.Load(); p != nil {
		return p, nil
	}
	p := &pool{packets: make(chan *memberlist.Packet, gossipQueue), accepted: make(chan net.Conn), ended: make(chan struct{})}
	c := memberlist.DefaultLANConfig()
	profile := g.links.profile
	c.Name = string(g.self)
	c.Transport = transport{g, p}
	c.RequireNodeNames = true
	c.EnableCompression = false // packets are small
	c.GossipVerifyIncoming, c.GossipVerifyOutgoing = false, false
	c.UDPBufferSize = gossipPacket
	c.GossipInterval, c.GossipNodes = profile.GossipInterval, profile.GossipNodes
	c.ProbeInterval, c.ProbeTimeout = profile.ProbeInterval, profile.ProbeTimeout
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = profile.SuspicionMult, 2
	c.PushPullInterval = profile.PushPullInterval
	c.TCPTimeout = 2 * profile.Handshake
	c.Delegate, c.Events, c.Alive = delegate{g, p}, delegate{g, p}, delegate{g, p}
	c.Logger = log.New(debugWriter{g.log}, "", 0)
	list, err := memberlist.Create(c)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	p.list = list
	g.pool.Store(p)
	if g.closed.Load() { // meanwhile
		return nil, errors.Join(net.ErrClosed, g.stop())
	}
	return p, nil
}

// leave tells the others that this peer gossips no more, and ends the list.
func (g *gossip) leave(wait time.Duration) error {
	g.changing <- struct{}{}
	defer func() { <-g.changing }()
	p := g.pool.Load()
	if p == nil {
		return nil
	}
	err := p.list.Leave(wait)
	if g.pool.CompareAndSwap(p, nil) {
		err = errors.Join(err, p.end())
	}
	return err
}

// stop ends gossip for good, without a word.
func (g *gossip) stop() error {
	g.closed.Store(true)
	if p := g.pool.Swap(nil); p != nil {
		return p.end()
	}
	return nil
}

// packet takes a datagram of gossip.
func (g *gossip) packet(from PeerID, b []byte) {
	g.traffic.received.Add(uint64(len(b)))
	p := g.pool.Load()
	if p == nil {
		return
	}
	select {
	case p.packets <- &memberlist.Packet{Buf: b, From: &net.UDPAddr{IP: syntheticIP(from), Port: syntheticPort}, Timestamp: g.wall.clock()}:
	default: // gossip may be dropped
	}
}

// accept passes streams on to memberlist until the mesh closes.
func (g *gossip) accept() {
	for {
		c, err := g.incoming.Accept()
		if err != nil {
			return
		}
		p := g.pool.Load()
		if p == nil {
			_ = c.Close() // never fails
			continue
		}
		select {
		case p.accepted <- countedConn{&boundedConn{Conn: c, left: exchangeLimit}, &g.traffic}:
		case <-p.ended:
			_ = c.Close() // never fails
		case <-g.links.ctx.Done():
			_ = c.Close() // never fails
			return
		}
	}
}

// join exchanges all that is known with each of the peers, at the same time.
func (g *gossip) join(ids []PeerID) {
	p, err := g.start()
	if err != nil {
		g.log.Debug("cannot gossip", "err", err)
		return
	}
	var wg sync.WaitGroup
	for _, id := range ids {
		wg.Go(func() {
			if _, err := p.list.Join([]string{string(id) + "/" + syntheticAddress(id)}); err != nil {
				g.log.Debug("peer cannot be joined", "peer", id.Short(), "err", err)
			}
		})
	}
	wg.Wait()
}

// say publishes a new descriptor of this peer.
func (g *gossip) say(d Descriptor, wait time.Duration) error {
	g.own.Store(&d)
	g.book.put(d)
	g.tiers.Changed()
	if p := g.pool.Load(); p != nil {
		if err := p.list.UpdateNode(wait); err != nil {
			return fmt.Errorf("gossip: %w", err)
		}
	}
	return nil
}

// speak has this peer sign and publish a new descriptor soon.
func (g *gossip) speak() {
	select {
	case g.unsaid <- struct{}{}:
	default: // it is about to
	}
}

// descriptor reads a node's metadata, and remembers what it verified.
func (g *gossip) descriptor(n *memberlist.Node) (Descriptor, error) {
	g.mu.Lock()
	d, ok := g.verified[string(n.Meta)]
	g.mu.Unlock()
	if ok {
		return d, nil
	}
	d, err := parseDescriptor(n.Meta, g.wall.meshID)
	if err != nil {
		return d, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.verified) >= maxPeers {
		clear(g.verified)
	}
	g.verified[string(n.Meta)] = d
	return d, nil
}
