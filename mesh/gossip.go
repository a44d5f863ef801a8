package mesh

import (
	"fmt"
	"log"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
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
	list    *memberlist.Memberlist
	log     *slog.Logger

	packets  chan *memberlist.Packet
	incoming *listener
	accepted chan net.Conn

	traffic counter
	own     atomic.Pointer[Descriptor] // what this peer says of itself
	unsaid  chan struct{}              // receives a value when it should say something new

	mu       sync.Mutex
	verified map[string]Descriptor // descriptors whose signature was checked, by their bytes
}

// startGossip creates the member list, which knows only this peer at first.
func startGossip(w *wall, b *book, l *links, s *streams, own Descriptor, logger *slog.Logger) (*gossip, error) {
	g := &gossip{
		self: w.identity.ID(), wall: w, book: b, links: l, streams: s, log: logger,
		packets:  make(chan *memberlist.Packet, gossipQueue),
		incoming: s.listen(kindGossip),
		accepted: make(chan net.Conn),
		verified: map[string]Descriptor{},
		unsaid:   make(chan struct{}, 1),
	}
	g.own.Store(&own)
	b.put(own)
	l.onDatagram = g.packet
	l.spawn(g.accept)

	c := memberlist.DefaultLANConfig()
	p := l.profile
	c.Name = string(g.self)
	c.Transport = transport{g}
	c.RequireNodeNames = true
	c.EnableCompression = false // packets are small
	c.GossipVerifyIncoming, c.GossipVerifyOutgoing = false, false
	c.UDPBufferSize = gossipPacket
	c.GossipInterval, c.GossipNodes = p.GossipInterval, p.GossipNodes
	c.ProbeInterval, c.ProbeTimeout = p.ProbeInterval, p.ProbeTimeout
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = p.SuspicionMult, 2
	c.PushPullInterval = p.PushPullInterval
	c.TCPTimeout = 2 * p.Handshake
	c.Delegate, c.Events, c.Alive = delegate{g}, delegate{g}, delegate{g}
	c.Logger = log.New(debugWriter{logger}, "", 0)
	list, err := memberlist.Create(c)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	g.list = list
	return g, nil
}

// packet takes a datagram of gossip.
func (g *gossip) packet(from PeerID, b []byte) {
	g.traffic.received.Add(uint64(len(b)))
	select {
	case g.packets <- &memberlist.Packet{Buf: b, From: &net.UDPAddr{IP: syntheticIP(from), Port: syntheticPort}, Timestamp: g.wall.clock()}:
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
		select {
		case g.accepted <- countedConn{&boundedConn{Conn: c, left: exchangeLimit}, &g.traffic}:
		case <-g.links.ctx.Done():
			_ = c.Close() // never fails
			return
		}
	}
}

// join exchanges all that is known with each of the peers, at the same time.
func (g *gossip) join(ids []PeerID) {
	var wg sync.WaitGroup
	for _, id := range ids {
		wg.Go(func() {
			if _, err := g.list.Join([]string{string(id) + "/" + syntheticAddress(id)}); err != nil {
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
	if err := g.list.UpdateNode(wait); err != nil {
		return fmt.Errorf("gossip: %w", err)
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
