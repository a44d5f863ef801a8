package mesh

import (
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/slapmesh/slapmesh/mesh/nat"
	"github.com/slapmesh/slapmesh/mesh/relay"
)

// Bytes counts what went out and came in.
type Bytes struct{ Sent, Received uint64 }

// Stats is what a mesh costs, since it was opened.
type Stats struct {
	Connections int   // held now
	Pool        int   // peers that gossip, this one included if it does
	Attached    bool  // this peer does not: others hold it
	Holders     int   // how many do
	Held        int   // how many this one holds
	Gossip      Bytes // payload of gossip, in datagrams and streams
	Wire        Bytes // all that QUIC carried: gossip, streams, handshakes, probes, acknowledgements; without IP and UDP headers
}

// Stats says what the mesh costs.
func (m *Mesh) Stats() Stats {
	s := Stats{Gossip: m.gossip.traffic.bytes()}
	s.Connections, s.Wire = m.links.traffic()
	s.Pool, s.Held = m.tiers.Counts()
	s.Holders, s.Attached = m.tiers.Attached()
	return s
}

// Reach is how others reach this peer, as far as it knows.
type Reach struct {
	Kind     nat.Kind         // of what stands in between
	Double   bool             // the router is behind another translator
	Mapping  nat.Mapping      // of the translator in between, if there is one
	External []netip.AddrPort // where others see it, if that is not where it is
	Mapped   netip.AddrPort   // the router's port that leads here, if it granted one
	MappedBy string           // how that was asked for: nat-pmp or upnp
	Hidden   bool             // others need help
	Relays   []PeerID         // those whom it names for that
	Carried  relay.Stats      // what this peer carried for others
}

// Reach says how others reach this peer.
func (m *Mesh) Reach() Reach {
	v := m.paths.reach.verdict()
	r := Reach{Kind: m.paths.reach.kind(), Double: m.paths.reach.behindTwo(), Mapping: v.Mapping, External: v.External, Hidden: m.paths.reach.hidden()}
	r.Mapped, r.MappedBy = m.paths.reach.mapping()
	if named := m.relays.Load(); named != nil {
		r.Relays = *named
	}
	if m.paths.desk != nil {
		r.Carried = m.paths.desk.Stats()
	}
	return r
}

// counter counts bytes as they pass.
type counter struct{ sent, received atomic.Uint64 }

func (c *counter) bytes() Bytes { return Bytes{c.sent.Load(), c.received.Load()} }

// countedConn counts what a stream carries.
type countedConn struct {
	net.Conn
	traffic *counter
}

// Read counts what came in.
func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.traffic.received.Add(uint64(n))
	return n, err
}

// Write counts what went out.
func (c countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.traffic.sent.Add(uint64(n))
	return n, err
}

// traffic counts the connections, and what they and those before them carried.
func (s *links) traffic() (connections int, sum Bytes) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum = s.ended
	for _, held := range s.conns {
		connections += len(held)
		for _, l := range held {
			sum = sum.plus(l)
		}
	}
	return connections, sum
}

// plus adds what a connection carried.
func (b Bytes) plus(l *link) Bytes {
	stats := l.conn.ConnectionStats()
	return Bytes{b.Sent + stats.BytesSent, b.Received + stats.BytesReceived}
}
