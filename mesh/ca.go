package mesh

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"time"
)

const (
	// CertificateLife is how long a peer's certificate is valid when nothing
	// else is asked. It is renewed after two thirds of it.
	CertificateLife = 7 * 24 * time.Hour

	// clockTolerance is how far the clocks of two peers may be apart.
	clockTolerance = 2 * time.Minute

	caLife      = 30 * 365 * 24 * time.Hour
	uriScheme   = "slapd"
	maxNameSize = 63
)

// A CA is the key whose signature makes a peer a member of the mesh. Only
// voters hold it.
type CA struct {
	key         ed25519.PrivateKey
	certificate *x509.Certificate
}

// NewCA makes the CA of a new mesh called name.
func NewCA(name string, random io.Reader, now time.Time) (*CA, error) {
	if name == "" || !printable(name, maxNameSize) {
		return nil, fmt.Errorf("make mesh %q: a name is 1 to %d bytes of plain text", name, maxNameSize)
	}
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, fmt.Errorf("make mesh %s: %w", name, err)
	}
	return makeCA(ed25519.NewKeyFromSeed(seed), name, random, now, func(*x509.Certificate) {})
}

// makeCA signs the certificate of a CA with its own key.
func makeCA(key ed25519.PrivateKey, name string, random io.Reader, now time.Time, complete func(*x509.Certificate)) (*CA, error) {
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-2 * clockTolerance),
		NotAfter:              now.Add(caLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	complete(template)
	der, err := x509.CreateCertificate(random, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make mesh %s: %w", name, err)
	}
	certificate, err := parseCACertificate(der)
	if err != nil {
		return nil, err
	}
	return &CA{key, certificate}, nil
}

// parseCACertificate reads a CA's certificate and checks that it is its own.
func parseCACertificate(der []byte) (*x509.Certificate, error) {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read CA certificate: %w", err)
	}
	if _, ok := certificate.PublicKey.(ed25519.PublicKey); !ok {
		return nil, errors.New("read CA certificate: its key is not Ed25519")
	}
	if err := certificate.CheckSignatureFrom(certificate); err != nil {
		return nil, fmt.Errorf("read CA certificate: %w", err)
	}
	return certificate, nil
}

// Name is the mesh's name.
func (ca *CA) Name() string { return ca.certificate.Subject.CommonName }

// Digest identifies the CA; tokens carry it. It is half of a secret: whoever
// knows it can make a peer show its certificate.
func (ca *CA) Digest() [32]byte { return digestOf(ca.certificate) }

// MeshID names the mesh, whichever of its CAs this is. It tells nothing about
// the digest.
func (ca *CA) MeshID() string { return meshIDOfCA(ca.certificate) }

// CertificateDER is the CA's own certificate, which every peer keeps.
func (ca *CA) CertificateDER() []byte { return ca.certificate.Raw }

func digestOf(ca *x509.Certificate) [32]byte { return sha256.Sum256(ca.RawSubjectPublicKeyInfo) }

func meshIDOf(digest [32]byte) string {
	sum := sha256.Sum256(append([]byte("slapd mesh id "), digest[:]...))
	return base32Lower.EncodeToString(sum[:20])
}

// An IssueRequest says what a certificate should hold.
type IssueRequest struct {
	PublicKey ed25519.PublicKey
	Lifetime  time.Duration // default CertificateLife
	Now       time.Time
	Keeper    bool // the peer may keep the ledger: who has not read it yet may read it there
}

// Issue signs that the holder of a key is a peer of this mesh. It says
// nothing about what the peer may do.
func (ca *CA) Issue(r IssueRequest) ([]byte, error) {
	if len(r.PublicKey) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("issue certificate: public key has %d bytes, wants %d", len(r.PublicKey), ed25519.PublicKeySize)
	}
	if r.Now.IsZero() {
		return nil, errors.New("issue certificate: Now required")
	}
	if r.Lifetime <= 0 {
		r.Lifetime = CertificateLife
	}
	id := PeerIDOf(r.PublicKey)
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: string(id)},
		URIs:        []*url.URL{{Scheme: uriScheme, Host: ca.MeshID(), Path: "/" + string(id)}},
		NotBefore:   r.Now.Add(-2 * clockTolerance),
		NotAfter:    r.Now.Add(r.Lifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	template.ExtraExtensions = []pkix.Extension{voucherExtension(ca.vouch(id, voucher{keeper: r.Keeper, until: template.NotAfter}))}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.certificate, r.PublicKey, ca.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %s: %w", id, err)
	}
	return der, nil
}

// Marshal returns the CA with its private key, to be sent to a new voter.
func (ca *CA) Marshal() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		return nil, fmt.Errorf("encode CA: %w", err)
	}
	return append(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.certificate.Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...,
	), nil
}

// ParseCA reads what Marshal wrote.
func ParseCA(data []byte) (*CA, error) {
	key, err := parsePrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("read CA: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("read CA: no certificate in it")
	}
	certificate, err := parseCACertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	if !key.Public().(ed25519.PublicKey).Equal(certificate.PublicKey) {
		return nil, errors.New("read CA: the key is not that of the certificate")
	}
	return &CA{key, certificate}, nil
}

// checkPeer says whose certificate leaf is, if ca signed it and it is valid
// at the given time.
func checkPeer(leaf, ca *x509.Certificate, at time.Time) (PeerID, error) {
	key, ok := leaf.PublicKey.(ed25519.PublicKey)
	if !ok {
		return "", errors.New("check certificate: its key is not Ed25519")
	}
	id := PeerIDOf(key)
	if leaf.IsCA {
		return "", fmt.Errorf("check certificate of %s: it is a CA's", id)
	}
	if err := leaf.CheckSignatureFrom(ca); err != nil {
		return "", fmt.Errorf("check certificate of %s: another mesh's: %w", id, err)
	}
	want := url.URL{Scheme: uriScheme, Host: meshIDOfCA(ca), Path: "/" + string(id)}
	if len(leaf.URIs) != 1 || *leaf.URIs[0] != want {
		return "", fmt.Errorf("check certificate of %s: it names someone else", id)
	}
	switch {
	case at.Before(leaf.NotBefore.Add(-clockTolerance)):
		return "", fmt.Errorf("check certificate of %s: not valid before %s and it is %s here: compare the clocks",
			id, leaf.NotBefore.UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339))
	case at.After(leaf.NotAfter):
		return "", fmt.Errorf("check certificate of %s: expired at %s and it is %s here: compare the clocks",
			id, leaf.NotAfter.UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339))
	}
	return id, nil
}
