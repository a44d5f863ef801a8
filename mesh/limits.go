package mesh

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// What one peer may take of another, and all of them together. A member is
// trusted to be who it is, not to be kind.
const (
	// linksPerPeer bounds the connections from and to one peer: two when both
	// dialled at once, and those that a restart or a renewal left behind.
	linksPerPeer = 4
	// linkedPeers bounds with how many peers there may be connections.
	linkedPeers = 4096
	// streamsPerLink bounds what one peer may open here at a time over one
	// connection; streamsUnnamed how many of those are accepted that have not said
	// their kind yet. Others wait, as who opens them does, until it is their turn.
	streamsPerLink = 4096
	streamsUnnamed = 64
	// handshakesPerSecond is how many strangers may begin a handshake before
	// their addresses are checked first, which costs them a round trip.
	handshakesPerSecond = 100
	// handshakesPerSource is how many handshakes a second one address may
	// begin: an IPv4 address, or an IPv6 network of 64 bits. Those of this
	// computer may begin any number.
	handshakesPerSource = 50
	// sourcesRemembered bounds how many addresses are told apart.
	sourcesRemembered = 4096
	// packetsPerSecond is how many packets of gossip one connection may bring;
	// what is more is dropped, as gossip may be.
	packetsPerSecond = 500
	// exchangeLimit is how many bytes one exchange of all state may have: that
	// many peers with as long a descriptor as there may be.
	exchangeLimit = maxPeers * (descriptorLimit + 128)
)

// A quota bounds the open streams of one kind.
type quota struct{ peer, all int }

// quotaOf returns the bounds of the kinds that cost memory or time before
// anything else is asked; a tunnel counts its own connections.
func quotaOf(k Kind) (q quota, bound bool) {
	switch k {
	case kindGossip:
		return quota{4, 64}, true
	case kindTiers:
		return quota{8, 512}, true
	case KindRaft:
		return quota{64, 1024}, true
	case KindRPC:
		return quota{1024, 8192}, true
	case KindTrees:
		return quota{8, 64}, true
	case KindHandover:
		return quota{16, 64}, true
	default:
		return q, false
	}
}

// A tally counts the open streams from others by peer and kind.
type tally struct {
	mu    sync.Mutex
	peers map[tallied]int
	kinds map[Kind]int
}

type tallied struct {
	peer PeerID
	kind Kind
}

// take counts one more stream, if the quotas allow it, and returns how it is
// given back.
func (t *tally) take(peer PeerID, kind Kind) (release func(), ok bool) {
	q, bound := quotaOf(kind)
	if !bound {
		return func() {}, true
	}
	key := tallied{peer, kind}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.peers[key] >= q.peer || t.kinds[kind] >= q.all {
		return nil, false
	}
	if t.peers == nil {
		t.peers, t.kinds = make(map[tallied]int), make(map[Kind]int)
	}
	t.peers[key]++
	t.kinds[kind]++
	return sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.kinds[kind]--
		if t.peers[key]--; t.peers[key] == 0 {
			delete(t.peers, key)
		}
	}), true
}

// A boundedConn ends with an error for who sends more than was left.
type boundedConn struct {
	net.Conn
	left int
}

// Read is that of the connection.
func (c *boundedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooLong
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

var errTooLong = errors.New("gossip: a peer tells more than there can be")

// errTooMany refuses a handshake of who begins too many.
var errTooMany = errors.New("handshake: too many from this address")

// sources bounds the handshakes of each address.
type sources struct {
	clock func() time.Time

	mu   sync.Mutex
	seen map[netip.Prefix]*bucket
}

// limited returns config for servers: whoever begins too many handshakes is
// refused before they cost more than a packet.
func (s *sources) limited(config *quic.Config) *quic.Config {
	plain := config.Clone()
	config = config.Clone()
	config.GetConfigForClient = func(info *quic.ClientInfo) (*quic.Config, error) {
		if !s.allow(info.RemoteAddr) {
			return nil, errTooMany
		}
		return plain, nil
	}
	return config
}

// allow counts a handshake from an address.
func (s *sources) allow(from net.Addr) bool {
	source, ok := sourceOf(from)
	if !ok {
		return true
	}
	s.mu.Lock()
	b := s.seen[source]
	if b == nil {
		if len(s.seen) >= sourcesRemembered || s.seen == nil {
			s.seen = map[netip.Prefix]*bucket{} // who was slowed down may go on for a second
		}
		b = &bucket{clock: s.clock, rate: handshakesPerSource}
		s.seen[source] = b
	}
	s.mu.Unlock()
	return b.take()
}

// sourceOf is what counts as one source. Programs of this computer are none.
func sourceOf(from net.Addr) (netip.Prefix, bool) {
	at, ok := from.(interface{ AddrPort() netip.AddrPort }) // of UDP or TCP
	if !ok {
		return netip.Prefix{}, false
	}
	ip := at.AddrPort().Addr().Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	return p, err == nil && !ip.IsLoopback()
}
