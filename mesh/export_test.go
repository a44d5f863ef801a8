package mesh

import (
	"crypto/ed25519"
	"crypto/tls"
	"time"
)

// What the tests need to see from inside.
var (
	ParseDescriptor = parseDescriptor
	SignDescriptor  = signDescriptor
	ParseKnown      = parseKnown
	Proof           = proof
	Proven          = proven
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
	if err := decoding.Unmarshal(data, &r); err != nil {
		return err
	}
	return r.check()
}

// ParseJoinReply reads an answer as a newcomer does.
func ParseJoinReply(data []byte) error {
	var r joinReply
	return decoding.Unmarshal(data, &r)
}

// PathRequest is one as it travels, without its length.
func PathRequest(want uint64, peer string, label uint64) []byte {
	return must(encoding.Marshal(pathRequest{Format: pathFormat, Want: want, Peer: peer, Label: label}))
}

// ParsePathRequest reads one as a relay does, and returns the peer to relay
// to.
func ParsePathRequest(data []byte) (peer string, err error) {
	var r pathRequest
	if err := decoding.Unmarshal(data, &r); err != nil {
		return "", err
	}
	if r.Want != pathRelay && r.Want != pathAccept {
		return "", r.check()
	}
	return r.Peer, r.check()
}

// ReadFrame reads one frame of any shape.
var ReadFrame = readFrame

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
		NextProtos: []string{alpnJoin}, ServerName: proof(digest), InsecureSkipVerify: true,
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

// KindGossip is for streams of memberlist.
const KindGossip = kindGossip
