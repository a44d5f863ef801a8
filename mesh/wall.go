package mesh

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	alpnMesh = "slapd/1"
	alpnJoin = "slapd-join/1"

	proofNonceSize = 16
	proofMACSize   = 16
)

// errStranger ends the handshake of who does not know the CA digest, before
// any certificate is sent.
var errStranger = errors.New("handshake: no proof of knowing the mesh")

// A wall decides with whom a peer speaks: it makes the TLS configurations for
// both ends and checks the certificates of the other side.
type wall struct {
	identity *Identity
	meshID   string
	clock    func() time.Time
	revoked  func(PeerID) bool
	known    func(PeerID) bool

	certificate atomic.Pointer[tls.Certificate] // replaced by a renewal
	signer      atomic.Pointer[trusted]         // the CA that signed it
	line        atomic.Pointer[[]trusted]       // the CAs that the ledger names, the newest first

	mu       sync.Mutex
	vouchers map[string]voucher // whose signature was checked, by peer and bytes
	names    map[string]bool    // server names that were shown lately
	before   map[string]bool    // and those before them
}

func newWall(c Config) (*wall, error) {
	leaf, ca, err := c.Credentials.check(c.Identity)
	if err != nil {
		return nil, err
	}
	w := &wall{identity: c.Identity, meshID: meshIDOfCA(ca), clock: c.Clock, revoked: c.Revoked, known: c.Known, vouchers: map[string]voucher{}}
	w.line.Store(new([]trusted))
	w.present(leaf, ca)
	return w, nil
}

// present makes leaf, which ca signed, the certificate that is shown from now
// on.
func (w *wall) present(leaf, ca *x509.Certificate) {
	w.signer.Store(&trusted{Certificate: ca, digest: digestOf(ca)})
	w.certificate.Store(&tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: w.identity.key, Leaf: leaf})
}

// leaf is the certificate that is shown now.
func (w *wall) leaf() *x509.Certificate { return w.certificate.Load().Leaf }

// server is the configuration for incoming connections. What is shown depends
// on the proof in the server name and on the protocol asked for.
func (w *wall) server() *tls.Config {
	member := w.base(alpnMesh)
	member.ClientAuth = tls.RequireAnyClientCert
	member.VerifyConnection = w.checkMember
	member.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return w.presented(), nil }

	// Who joins checks the CA by its digest, so it must be shown the CA.
	door := w.base(alpnJoin)
	door.ClientAuth = tls.RequireAnyClientCert
	door.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		c := *w.certificate.Load()
		c.Certificate = append(slices.Clone(c.Certificate), w.shown()...)
		return &c, nil
	}

	outer := w.base(alpnMesh, alpnJoin)
	outer.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hello.SupportedProtos, alpnJoin) {
			if _, ok := w.proves(hello.ServerName, anybody); !ok || !w.first(hello.ServerName) {
				return nil, errStranger
			}
			return door, nil
		}
		by, ok := w.proves(hello.ServerName, w.identity.ID())
		if !ok || !by.counts(w.clock()) || !w.first(hello.ServerName) {
			return nil, errStranger
		}
		return member, nil
	}
	return outer
}

// proofsRemembered is how many server names a peer remembers at least, so that
// who saw one on the wire cannot use it as well.
const proofsRemembered = 8192

// first reports whether a server name is shown for the first time, as far as
// this peer remembers.
func (w *wall) first(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.names[name] || w.before[name] {
		return false
	}
	if len(w.names) >= proofsRemembered {
		w.names, w.before = nil, w.names
	}
	if w.names == nil {
		w.names = make(map[string]bool)
	}
	w.names[name] = true
	return true
}

// client is the configuration for a connection to peer.
func (w *wall) client(peer PeerID) *tls.Config {
	c := w.base(alpnMesh)
	c.ServerName = proof(w.password(), peer)
	c.InsecureSkipVerify = true // VerifyConnection checks the chain: there is no host name in it
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return w.presented(), nil }
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if err := w.checkMember(s); err != nil {
			return err
		}
		id := peerOfState(s)
		if id != peer {
			return fmt.Errorf("peer %s answers at an address of %s", id, peer)
		}
		if w.revoked(id) {
			return fmt.Errorf("check certificate of %s: the peer was removed from the mesh", id)
		}
		return nil
	}
	return c
}

func (w *wall) base(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             protocols,
		Time:                   w.clock,
		SessionTicketsDisabled: true, // every connection is checked in full
	}
}

// checkMember refuses who is not of this mesh. Who was removed from it may
// still shake hands, to be told so: the connection is ended before a stream or
// a datagram of its is looked at.
func (w *wall) checkMember(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("check certificate: none was shown")
	}
	leaf := s.PeerCertificates[0]
	ca, err := w.issuer(leaf, s.PeerCertificates[1:])
	if err == nil {
		_, err = checkPeer(leaf, ca, w.clock())
	}
	return err
}

// presented is the certificate with, while the mesh has more CAs than one, the
// line of them, by which who knows only a former one recognises it.
func (w *wall) presented() *tls.Certificate {
	c := w.certificate.Load()
	if len(w.counting()) == 0 {
		return c
	}
	whole := *c
	whole.Certificate = append(slices.Clone(c.Certificate), w.shown()...)
	return &whole
}

// peerOfState names the other end of a connection that was checked.
func peerOfState(s tls.ConnectionState) PeerID {
	key, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return ""
	}
	return PeerIDOf(key)
}

// anybody is for whom a proof is meant that does not know whom it will meet, as
// who joins does not.
const anybody = ""

// proof is a server name that shows a peer knowledge of the CA digest without
// telling it, different each time: each dial needs its own.
func proof(digest [32]byte, to PeerID) string {
	p := make([]byte, proofNonceSize, proofNonceSize+proofMACSize)
	if _, err := rand.Read(p); err != nil {
		panic(err) // crypto/rand never fails
	}
	return base32Lower.EncodeToString(append(p, proofMAC(digest, p, to)...))
}

// proven reports whether a server name is such a proof.
func proven(name string, digest [32]byte, to PeerID) bool {
	p, err := base32Lower.DecodeString(name)
	if err != nil || len(p) != proofNonceSize+proofMACSize {
		return false
	}
	return hmac.Equal(p[proofNonceSize:], proofMAC(digest, p[:proofNonceSize], to))
}

func proofMAC(digest [32]byte, nonce []byte, to PeerID) []byte {
	mac := hmac.New(sha256.New, digest[:])
	mac.Write(nonce)
	mac.Write([]byte(to))
	return mac.Sum(nil)[:proofMACSize]
}
