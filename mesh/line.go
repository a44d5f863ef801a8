package mesh

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"
)

// A mesh may replace its CA. The next one names the mesh by the id that the
// first one gave it, and carries the word of the one before, so that who knows
// any of a line recognises those that follow.
//
// The word of a former CA is worth as much as whoever still has its key: a
// voter that was removed, say. So it counts for a while only, and only for
// peers that the ledger knows: nobody gets in with it who was not in already.

// nextOID names the extension with the former CA's digest and signature; see
// voucherOID.
var nextOID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 7527, 2}

const (
	// maxLine bounds how many CAs of a mesh are shown and remembered.
	maxLine = 8

	digestSize = sha256.Size
)

// Next makes the CA that is to follow this one.
func (ca *CA) Next(random io.Reader, now time.Time) (*CA, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, fmt.Errorf("next CA: %w", err)
	}
	key := ed25519.NewKeyFromSeed(seed)
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("next CA: %w", err)
	}
	former, next := ca.Digest(), sha256.Sum256(spki)
	word := append(former[:], ed25519.Sign(ca.key, nextMessage(ca.MeshID(), next))...)
	return makeCA(key, ca.Name(), random, now, func(c *x509.Certificate) {
		c.URIs = []*url.URL{{Scheme: uriScheme, Host: ca.MeshID()}}
		c.ExtraExtensions = []pkix.Extension{{Id: nextOID, Value: word}}
	})
}

func nextMessage(meshID string, next [32]byte) []byte {
	return append([]byte("slapd next CA of mesh "+meshID+"\x00"), next[:]...)
}

// meshIDOfCA is the id of a CA's mesh: it says so, or is the first one.
func meshIDOfCA(ca *x509.Certificate) string {
	if len(ca.URIs) == 1 && ca.URIs[0].Scheme == uriScheme {
		return ca.URIs[0].Host
	}
	return meshIDOf(digestOf(ca))
}

// follows reports whether former gave its word that next follows it.
func follows(next, former *x509.Certificate) bool {
	key, ok := former.PublicKey.(ed25519.PublicKey)
	if !ok || meshIDOfCA(next) != meshIDOfCA(former) {
		return false
	}
	for _, e := range next.Extensions {
		if !e.Id.Equal(nextOID) || len(e.Value) != digestSize+ed25519.SignatureSize {
			continue
		}
		digest := digestOf(former)
		return string(e.Value[:digestSize]) == string(digest[:]) &&
			ed25519.Verify(key, nextMessage(meshIDOfCA(former), digestOf(next)), e.Value[digestSize:])
	}
	return false
}

// descends returns the CA among shown, the newest first, that signed leaf, if
// each follows the next one down to one of that digest.
func descends(shown []*x509.Certificate, from [32]byte) (*x509.Certificate, error) {
	if len(shown) == 0 || len(shown) > maxLine {
		return nil, errors.New("the peer does not show its mesh")
	}
	var line []*x509.Certificate
	for _, c := range shown {
		ca, err := parseCACertificate(c.Raw)
		if err != nil {
			return nil, err
		}
		if n := len(line); n > 0 && !follows(line[n-1], ca) {
			return nil, errOtherCA
		}
		line = append(line, ca)
		if digestOf(ca) == from {
			return line[0], nil
		}
	}
	return nil, errOtherCA
}

// A TrustedCA is one that the ledger names.
type TrustedCA struct {
	CertificateDER []byte
	Until          time.Time // what it signed counts until then; zero is for ever
}

// trusted is a CA of this mesh.
type trusted struct {
	*x509.Certificate
	digest [32]byte
	until  time.Time
}

func (t trusted) counts(now time.Time) bool { return t.until.IsZero() || now.Before(t.until) }

// trust takes what the ledger says of the mesh's CAs, the oldest first. What
// is not of one line is left out.
func (w *wall) trust(cas []TrustedCA) error {
	var line []trusted
	for _, c := range cas[max(0, len(cas)-maxLine):] {
		ca, err := parseCACertificate(c.CertificateDER)
		if err != nil {
			return err
		}
		if n := len(line); meshIDOfCA(ca) != w.meshID || n > 0 && !follows(ca, line[n-1].Certificate) {
			return errors.New("a CA in the ledger is not of the line of this mesh")
		}
		line = append(line, trusted{ca, digestOf(ca), c.Until})
	}
	slices.Reverse(line)
	w.line.Store(&line)
	return nil
}

// own is the CA that signed this peer's certificate, with what the ledger says
// of it.
func (w *wall) own() trusted {
	own := *w.signer.Load()
	for _, t := range *w.line.Load() {
		if t.digest == own.digest {
			return t
		}
	}
	return own
}

// others are the CAs of the mesh beside the one that signed this peer's
// certificate, the newest first.
func (w *wall) others() []trusted {
	own := w.signer.Load().digest
	return slices.DeleteFunc(slices.Clone(*w.line.Load()), func(t trusted) bool { return t.digest == own })
}

// counting are the other CAs whose word counts now.
func (w *wall) counting() []trusted {
	now := w.clock()
	return slices.DeleteFunc(w.others(), func(t trusted) bool { return !t.counts(now) })
}

// shown is the line of CAs that this peer shows behind its certificate, its
// own first, down to the oldest.
func (w *wall) shown() [][]byte {
	own := w.own()
	out := [][]byte{own.Raw}
	last := own.Certificate
	for _, t := range w.others() {
		if follows(last, t.Certificate) {
			out = append(out, t.Raw)
			last = t.Certificate
		}
	}
	return out
}

// issuer returns the CA by which a certificate is to be checked. It is this
// peer's own or the present one, or, for whom the ledger knows, another of the
// line: a former one that counts still, or one that follows and that the peer
// shows.
func (w *wall) issuer(leaf *x509.Certificate, behind []*x509.Certificate) (*x509.Certificate, error) {
	own, now := w.own(), w.clock()
	key, ok := leaf.PublicKey.(ed25519.PublicKey)
	known := ok && w.known(PeerIDOf(key))
	for _, t := range append([]trusted{own}, w.others()...) {
		switch {
		case leaf.CheckSignatureFrom(t.Certificate) != nil:
		case t.until.IsZero() || known && t.counts(now):
			return t.Certificate, nil
		default:
			return nil, fmt.Errorf("check certificate: the CA that signed it was replaced, and counts for members only, until %s", t.until.UTC().Format(time.RFC3339))
		}
	}
	if newest, err := descends(behind, own.digest); err == nil && known {
		return newest, nil
	}
	return own.Certificate, nil // which says what is wrong with it
}

// proves says which of the mesh's CAs a server name shows knowledge of, if it
// is meant for that peer.
func (w *wall) proves(name string, to PeerID) (trusted, bool) {
	own := w.own()
	if proven(name, own.digest, to) {
		return own, true
	}
	for _, t := range w.others() {
		if proven(name, t.digest, to) {
			return t, true
		}
	}
	return trusted{}, false
}

// password is the digest that the server name of a dial proves: the oldest that
// counts, for the other peer may not know a newer one yet.
func (w *wall) password() [32]byte {
	own, oldest, in := *w.signer.Load(), [32]byte{}, false
	for _, t := range *w.line.Load() {
		in = in || t.digest == own.digest
		if t.counts(w.clock()) {
			oldest = t.digest
		}
	}
	if !in { // the ledger here is older than the certificate
		return own.digest
	}
	return oldest
}

// Trust tells the mesh which CAs it has had, the oldest first, as the ledger
// says. One that this peer's certificate is not of may follow: RenewSoon.
func (m *Mesh) Trust(cas []TrustedCA) error { return m.wall.trust(cas) }

// Accepts reports whether the digest of a token or fingerprint is of a CA of
// this mesh that counts now, and whether it is of one at all.
func (m *Mesh) Accepts(digest [32]byte) (now, ever bool) {
	for _, t := range append([]trusted{m.wall.own()}, m.wall.others()...) {
		if t.digest == digest {
			return t.counts(m.wall.clock()), true
		}
	}
	return false, false
}

// Digests are those of the CAs of this mesh, the one that signed this peer's
// certificate first: who comes back, or holds an old token, may know any of
// them.
func (m *Mesh) Digests() [][32]byte {
	all := [][32]byte{m.wall.own().digest}
	for _, t := range m.wall.others() {
		all = append(all, t.digest)
	}
	return all
}

// IsOf reports whether a CA is this mesh's: one that it knows, or that follows
// one.
func (m *Mesh) IsOf(ca *CA) bool {
	own := m.wall.own()
	if ca.Digest() == own.digest || follows(ca.certificate, own.Certificate) {
		return true
	}
	return slices.ContainsFunc(m.wall.others(), func(t trusted) bool { return t.digest == ca.Digest() })
}

// SignedBy reports whether the CA of that certificate signed this peer's.
func (m *Mesh) SignedBy(caDER []byte) bool { return string(m.wall.own().Raw) == string(caDER) }
