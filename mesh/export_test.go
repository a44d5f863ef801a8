package mesh

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/quic-go/quic-go"

	"github.com/slapmesh/slapmesh/mesh/frame"
	"github.com/slapmesh/slapmesh/mesh/switchboard"
)

// What the tests need to see from inside.
var (
	ParseDescriptor = parseDescriptor
	SignDescriptor  = signDescriptor
	ParseKnown      = parseKnown
	NewPipe         = newPipe
	Candidates      = candidates
	SeenDatagram    = seenDatagram
	ParseSeen       = parseSeen
	MakeSignal      = makeSignal
	ParseSignal     = parseSignal
)

// ParseJoinRequest reads a request as the door does.
func ParseJoinRequest(data []byte) error {
	var r joinRequest
	if err := frame.Decode(data, &r); err != nil {
		return err
	}
	return r.check()
}

// ParseJoinReply reads an answer as a newcomer does.
func ParseJoinReply(data []byte) error {
	var r joinReply
	return frame.Decode(data, &r)
}

// PathRequest is one as it travels, without its length.
func PathRequest(want uint64, peer string, label uint64) []byte {
	b, err := frame.Encode(pathRequest{Format: pathFormat, Want: want, Peer: peer, Label: label})
	if err != nil {
		panic(err)
	}
	return b
}

// ParsePathRequest reads one as a relay does, and returns the peer to relay
// to.
func ParsePathRequest(data []byte) (peer string, err error) {
	var r pathRequest
	if err := frame.Decode(data, &r); err != nil {
		return "", err
	}
	if r.Want != pathRelay && r.Want != pathAccept {
		return "", r.check()
	}
	return r.Peer, r.check()
}

// ReadFrame reads one frame of any shape.
var ReadFrame = frame.Read

// Connections counts the connections with other peers.
func (m *Mesh) Connections() int { return len(m.links.all()) }

// Streams counts the open streams.
func (m *Mesh) Streams() (n int) {
	for _, l := range m.links.all() {
		n += int(l.streams.Load())
	}
	return n
}

// CertificateExpires is when the certificate that is shown now does.
func (m *Mesh) CertificateExpires() time.Time { return m.wall.leaf().NotAfter }

// Silence makes the peer vanish: what it holds stays open, but nothing of it
// is sent or heard any more.
func (m *Mesh) Silence() { _ = m.config.Socket.Close() }

// PrivateKey is what Sign uses.
func PrivateKey(i *Identity) ed25519.PrivateKey { return i.key }

// DoorConfig is with what a newcomer knocks that knows the digest.
func DoorConfig(i *Identity, digest [32]byte) *tls.Config {
	own, err := selfSigned(i, time.Now())
	if err != nil {
		panic(err)
	}
	return &tls.Config{
		NextProtos: []string{alpnJoin}, ServerName: proof(digest, anybody), InsecureSkipVerify: true,
		Certificates: []tls.Certificate{own},
	}
}

// SendGossip sends a datagram as memberlist would.
func (m *Mesh) SendGossip(to PeerID, b []byte) {
	m.links.gossip(to, append([]byte{datagramGossip}, b...))
}

// HandshakesUnchecked counts how many of n strangers that come at once, and
// again after a wait, may begin a handshake without proving their address.
func HandshakesUnchecked(n int, wait time.Duration) (first, again int) {
	now := time.Unix(0, 0)
	b := &bucket{clock: func() time.Time { return now }, rate: handshakesPerSecond}
	for range n {
		if b.take() {
			first++
		}
	}
	now = now.Add(wait)
	for range n {
		if b.take() {
			again++
		}
	}
	return first, again
}

// OpenCA reads what CA.Save wrote.
func OpenCA(data []byte, identity *Identity) error {
	_, _, err := openCA(data, identity)
	return err
}

// Vouch has a CA vouch for a peer.
func Vouch(ca *CA, peer PeerID, keeper bool, until time.Time) []byte {
	return ca.vouch(peer, voucher{keeper, until})
}

// ParseVoucher reads what a CA says of a peer.
func ParseVoucher(ca *CA, peer PeerID, data []byte) (keeper bool, until time.Time, err error) {
	v, err := parseVoucher(data, ca.MeshID(), peer, ca.certificate)
	return v.keeper, v.until, err
}

// WithVoucher returns d with what the CA says of its peer, or said.
func WithVoucher(d Descriptor, v []byte) Descriptor {
	d.voucher = v
	return d
}

// Descriptor is what this peer says of another.
func (m *Mesh) Descriptor(peer PeerID) Descriptor {
	d, _, _ := m.book.lookup(peer)
	return d
}

// SendAlive tells another peer that the peer of d is alive, as memberlist does.
func (m *Mesh) SendAlive(to PeerID, d Descriptor, incarnation uint32) {
	m.SendGossip(to, aliveMessage(d, incarnation))
}

// OpenUnnamed opens n streams to a peer and says no kind. It returns how many
// the peer has reset after a while.
func (m *Mesh) OpenUnnamed(ctx context.Context, to PeerID, n int, after time.Duration) (reset int, err error) {
	l, err := m.links.get(ctx, to)
	if err != nil {
		return 0, err
	}
	var open []*quic.Stream
	for range n {
		s, err := l.conn.OpenStream()
		if err != nil {
			return 0, err
		}
		if _, err := s.Write([]byte{}); err != nil {
			return 0, err
		}
		open = append(open, s)
	}
	// A stream is seen by the peer when something is sent on it or a later one.
	last := open[len(open)-1]
	if _, err := last.Write([]byte{byte(KindRPC)}); err != nil {
		return 0, err
	}
	time.Sleep(after)
	for _, s := range open {
		if s.Context().Err() != nil {
			reset++
		}
		s.CancelRead(streamReset)
		s.CancelWrite(streamReset)
	}
	return reset, nil
}

// Reached counts handshakes of one address that may begin within a moment.
func Reached(from net.Addr, n int) (allowed int) {
	s := &sources{clock: func() time.Time { return time.Unix(0, 0) }}
	for range n {
		if s.allow(from) {
			allowed++
		}
	}
	return allowed
}

// Bounds of what one peer may take.
const (
	StreamsUnnamed      = streamsUnnamed
	HandshakesPerSource = handshakesPerSource
)

// StreamsOf is how many streams of a kind one peer may have open.
func StreamsOf(kind Kind) int {
	q, _ := quotaOf(kind)
	return q.peer
}

// Descends returns the CA that a door may be believed to have, of what it shows
// behind its certificate, if it comes down to that digest.
func Descends(from [32]byte, shown ...*CA) (*CA, error) {
	var certificates []*x509.Certificate
	for _, ca := range shown {
		certificates = append(certificates, ca.certificate)
	}
	newest, err := descends(certificates, from)
	for _, ca := range shown {
		if newest == ca.certificate || newest != nil && newest.Equal(ca.certificate) {
			return ca, err
		}
	}
	return nil, err
}

// Proof is the server name of who joins.
func Proof(digest [32]byte) string { return proof(digest, anybody) }

// ProofFor is the server name of a member that dials a peer.
func ProofFor(digest [32]byte, to PeerID) string { return proof(digest, to) }

// Proven reports whether a server name is one of who joins.
func Proven(name string, digest [32]byte) bool { return proven(name, digest, anybody) }

// KindGossip is for streams of memberlist.
const KindGossip = kindGossip

// aliveMessage is a message of memberlist: a map in MessagePack's first form,
// in which texts and bytes are the same.
func aliveMessage(d Descriptor, incarnation uint32) []byte {
	b := []byte{4, 0x86} // alive, a map of six
	text := func(s string) {
		b = append(b, 0xda)
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	text("Incarnation")
	b = binary.BigEndian.AppendUint32(append(b, 0xce), incarnation)
	text("Node")
	text(string(d.Peer))
	text("Addr")
	text(string(syntheticIP(d.Peer)))
	text("Port")
	b = append(b, syntheticPort)
	text("Meta")
	text(string(d.encoded))
	text("Vsn")
	text("\x01\x05\x05\x00\x00\x00")
	return b
}

// Place describes where the peer is among others.
func (m *Mesh) Place() string { return m.tiers.String() }

// Redial ends the connections with a peer and dials it at its addresses.
func (m *Mesh) Redial(ctx context.Context, to PeerID) error {
	d, last, _ := m.book.lookup(to)
	for _, l := range m.links.all() {
		if l.peer == to {
			m.links.end(l, codeSurplus, "dialled anew")
		}
	}
	_, err := m.links.dialDirect(ctx, to, candidates(d, last, ""))
	return err
}

// BearingKey is the key of both directions of a Bearing for tests.
var BearingKey = []byte("a key of 32 bytes, or nearly so.")

// A Bearing follows a peer without a connection to it.
type Bearing struct{ *bearing }

// NewBearing follows a peer that was dialled at an address.
func NewBearing(dialled string) Bearing {
	board := switchboard.New(nil)
	return Bearing{&bearing{board: board, send: BearingKey, accept: BearingKey, dialled: netip.MustParseAddrPort(dialled)}}
}

// Hear takes a signal.
func (b Bearing) Hear(content []byte, from string) { b.hear(content, netip.MustParseAddrPort(from)) }

// Asked is the number of the question that is under way.
func (b Bearing) Asked() uint64 { return b.asked }

// LeadsTo is where the peer is now, if it moved.
func (b Bearing) LeadsTo() string {
	if !b.moved {
		return ""
	}
	return b.at.String()
}

// GossipAnew ends gossip and begins again with the other peer, and returns what
// calls f with the former gossip's word that the peer is gone.
func (m *Mesh) GossipAnew(with PeerID) (gone func(), err error) {
	former := m.gossip.pool.Load()
	if err := m.gossip.leave(time.Second); err != nil {
		return nil, err
	}
	m.gossip.join([]PeerID{with})
	return func() { delegate{m.gossip, former}.NotifyLeave(&memberlist.Node{Name: string(with)}) }, nil
}

// HiddenAfter reports whether a peer takes itself for hidden once somebody came
// through a relay who tried the addresses of one of its descriptors, when another
// was the first to tell the present ones.
func HiddenAfter(tried, told uint64) bool {
	r := newReach(time.Now)
	r.tells(told)
	r.relayed(tried)
	return r.hidden()
}
