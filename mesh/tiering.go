package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/slapmesh/slapmesh/mesh/tiers"
)

// newTiers gives this peer its place, which is alone at first, and answers
// others that ask for one.
func newTiers(m *Mesh) *tiers.Tiers {
	t := tiers.New(tiers.Config{
		Self:    string(m.Self()),
		Network: tierNetwork{m.links, m.streams, &m.gossip.traffic},
		Pool:    tierPool{m.gossip},
		Book:    tierBook{m.book, m.wall},
		Clock:   m.config.Clock,
		Hidden:  m.paths.reach.hidden,
		Spawn:   m.links.spawn,
		Log:     m.config.Log,
		Least:   m.config.Profile.Pool,
	})
	asked := m.streams.listen(kindTiers)
	m.links.spawn(func() {
		for {
			c, err := asked.Accept()
			if err != nil {
				return
			}
			m.links.spawn(func() { t.Serve(countedConn{c, &m.gossip.traffic}, string(PeerOf(c))) })
		}
	})
	return t
}

// names are peers as package tiers knows them.
func names(ids []PeerID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out
}

// tierNetwork reaches others over the links.
type tierNetwork struct {
	links   *links
	streams *streams
	traffic *counter
}

// Open opens a stream.
func (n tierNetwork) Open(peer string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(n.links.ctx, timeout)
	defer cancel()
	c, err := n.streams.open(ctx, PeerID(peer), kindTiers)
	switch {
	case errors.Is(err, ErrNobody):
		return nil, fmt.Errorf("%w: %w", tiers.ErrOld, err)
	case err != nil:
		return nil, err
	}
	return countedConn{c, n.traffic}, nil
}

// Heard counts the packets of the connection that is held.
func (n tierNetwork) Heard(peer string) (uint64, bool) {
	l := n.links.held(PeerID(peer))
	if l == nil {
		return 0, false
	}
	return l.conn.ConnectionStats().PacketsReceived, true
}

// Ping sends a probe, which QUIC acknowledges, and connects anew if need be.
func (n tierNetwork) Ping(peer string) {
	n.traffic.sent.Add(pingSize)
	n.links.gossip(PeerID(peer), make([]byte, pingSize)) // datagramPing is 0
}

// tierPool gossips by memberlist.
type tierPool struct{ gossip *gossip }

// goodbye bounds how long others are told that this peer gossips no more.
const goodbye = 3 * time.Second

// Join begins to gossip.
func (p tierPool) Join(peers []string) {
	ids := make([]PeerID, len(peers))
	for i, id := range peers {
		ids[i] = PeerID(id)
	}
	p.gossip.join(ids)
}

// Leave ends all gossip.
func (p tierPool) Leave() {
	if err := p.gossip.leave(goodbye); err != nil {
		p.gossip.log.Debug("gossip not left in order", "err", err)
	}
}

// tierBook keeps what is told of peers.
type tierBook struct {
	book *book
	wall *wall
}

// Put takes a descriptor.
func (b tierBook) Put(encoded []byte) (string, error) {
	d, err := parseDescriptor(encoded, b.wall.meshID)
	switch {
	case err != nil:
		return "", err
	case b.wall.revoked(d.Peer):
		return "", errors.New("the peer was removed from the mesh")
	case d.Peer == b.book.self:
		return string(d.Peer), nil // others do not tell who we are
	}
	switch err := b.wall.believes(d); {
	case err != nil:
		return "", err
	case !b.book.put(d):
		return string(d.Peer), errors.New("a newer descriptor of it is known")
	}
	return string(d.Peer), nil
}

// Descriptor returns what is known of a peer.
func (b tierBook) Descriptor(peer string) (encoded []byte, seq uint64, hidden, ok bool) {
	d, _, ok := b.book.lookup(PeerID(peer))
	return d.encoded, d.Seq, len(d.Relays) > 0, ok
}

// Mark notes whether a peer is there.
func (b tierBook) Mark(peer string, alive bool) {
	state := StateFailed
	if alive {
		state = StateAlive
	}
	b.book.mark(PeerID(peer), state)
}
