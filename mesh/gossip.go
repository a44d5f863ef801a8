package mesh

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"strings"
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

	own atomic.Pointer[Descriptor] // what this peer says of itself

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
		case g.accepted <- c:
		case <-g.links.ctx.Done():
			_ = c.Close() // never fails
			return
		}
	}
}

// join exchanges all that is known with each of the peers, at the same time,
// and returns how many answered.
func (g *gossip) join(ids []PeerID) int {
	var wg sync.WaitGroup
	var answered atomic.Int32
	for _, id := range ids {
		wg.Go(func() {
			n, err := g.list.Join([]string{string(id) + "/" + syntheticAddress(id)})
			if err != nil {
				g.log.Debug("peer cannot be joined", "peer", id.Short(), "err", err)
			}
			answered.Add(int32(n))
		})
	}
	wg.Wait()
	return int(answered.Load())
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

// delegate is what memberlist asks and tells. It is called while memberlist
// holds its locks, so it must not call back.
type delegate struct{ g *gossip }

// NodeMeta is this peer's descriptor.
func (d delegate) NodeMeta(int) []byte { return d.g.own.Load().encoded }

// NotifyMsg, GetBroadcasts, LocalState and MergeRemoteState carry what is not
// membership: nothing.
func (delegate) NotifyMsg([]byte)                {}
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (delegate) LocalState(bool) []byte          { return nil }
func (delegate) MergeRemoteState([]byte, bool)   {}

// NotifyAlive refuses who is not who it says, not of this mesh, or removed.
func (d delegate) NotifyAlive(n *memberlist.Node) error {
	desc, err := d.g.descriptor(n)
	switch {
	case err != nil:
		return err
	case string(desc.Peer) != n.Name || !n.Addr.Equal(syntheticIP(desc.Peer)):
		return errors.New("the descriptor is another peer's")
	case d.g.wall.revoked(desc.Peer):
		return errors.New("the peer was removed from the mesh")
	case !d.g.book.put(desc):
		return errors.New("a newer descriptor of it is known")
	}
	return nil
}

// NotifyJoin marks a peer alive.
func (d delegate) NotifyJoin(n *memberlist.Node) { d.g.book.mark(PeerID(n.Name), StateAlive) }

// NotifyUpdate is told again what NotifyAlive recorded.
func (d delegate) NotifyUpdate(*memberlist.Node) {}

// NotifyLeave marks a peer gone: left if its last word was goodbye.
func (d delegate) NotifyLeave(n *memberlist.Node) { d.g.book.mark(PeerID(n.Name), StateFailed) }

// transport lets memberlist reach peers by name.
type transport struct{ g *gossip }

var _ memberlist.NodeAwareTransport = transport{}

const syntheticPort = 1

// syntheticIP is the address that memberlist believes a peer to have.
func syntheticIP(id PeerID) net.IP {
	sum := sha256.Sum256([]byte(id))
	sum[0] = 0xfd // a private address
	return net.IP(sum[:16])
}

func syntheticAddress(id PeerID) string {
	return fmt.Sprintf("[%s]:%d", syntheticIP(id), syntheticPort)
}

var errNameless = errors.New("gossip: a node name is required")

func (t transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return syntheticIP(t.g.self), syntheticPort, nil
}
func (t transport) PacketCh() <-chan *memberlist.Packet                 { return t.g.packets }
func (t transport) StreamCh() <-chan net.Conn                           { return t.g.accepted }
func (t transport) Shutdown() error                                     { return nil }
func (t transport) WriteTo([]byte, string) (time.Time, error)           { return time.Time{}, errNameless }
func (t transport) DialTimeout(string, time.Duration) (net.Conn, error) { return nil, errNameless }

// WriteToAddress never blocks and never fails: an error other than a network
// failure would keep memberlist from ever suspecting the peer.
func (t transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	t.g.links.gossip(PeerID(a.Name), append([]byte{datagramGossip}, b...))
	return t.g.wall.clock(), nil
}

// DialAddressTimeout opens a stream to a peer by its name.
func (t transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.g.links.ctx, timeout)
	defer cancel()
	c, err := t.g.streams.open(ctx, PeerID(a.Name), kindGossip)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp-mesh", Addr: Addr{PeerID(a.Name)}, Err: err}
	}
	return c, nil
}

// debugWriter logs what memberlist prints. All of it is of interest only to
// who looks for it: what matters is told by the changes of Members.
type debugWriter struct{ log *slog.Logger }

func (w debugWriter) Write(line []byte) (int, error) {
	w.log.Debug("memberlist", "line", strings.TrimSpace(string(line)))
	return len(line), nil
}
