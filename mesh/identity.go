package mesh

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// base32Lower writes identifiers: no padding, no upper case, safe in names.
var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// peerIDLength is how many characters a PeerID has: 20 bytes in base32.
const peerIDLength = 32

// A PeerID names a peer for life: the first 20 bytes of the SHA-256 of its
// public key, in lower-case base32.
type PeerID string

// PeerIDOf returns the id of the peer that holds the private half of key.
func PeerIDOf(key ed25519.PublicKey) PeerID {
	sum := sha256.Sum256(key)
	return PeerID(base32Lower.EncodeToString(sum[:20]))
}

// ParsePeerID checks that s has the form of a peer id.
func ParsePeerID(s string) (PeerID, error) {
	if len(s) != peerIDLength {
		return "", fmt.Errorf("peer id %.40q: has %d characters, wants %d", s, len(s), peerIDLength)
	}
	if _, err := base32Lower.DecodeString(s); err != nil {
		return "", fmt.Errorf("peer id %q: only a-z and 2-7 may stand in it", s)
	}
	return PeerID(s), nil
}

// Short is enough of the id to tell peers apart in a log.
func (id PeerID) Short() string { return string(id[:min(len(id), 8)]) }

// An Identity is the key that makes a peer who it is.
type Identity struct {
	key ed25519.PrivateKey
	id  PeerID
}

// NewIdentity makes an identity from 32 bytes of random.
func NewIdentity(random io.Reader) (*Identity, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, fmt.Errorf("make identity: %w", err)
	}
	return identityFromSeed(seed), nil
}

func identityFromSeed(seed []byte) *Identity {
	key := ed25519.NewKeyFromSeed(seed)
	return &Identity{key, PeerIDOf(key.Public().(ed25519.PublicKey))}
}

// ID is the peer's name.
func (i *Identity) ID() PeerID { return i.id }

// PublicKey is the half that may be shown.
func (i *Identity) PublicKey() ed25519.PublicKey { return i.key.Public().(ed25519.PublicKey) }

// Sign signs message. The caller puts a purpose in front of what it signs, so
// that one signature cannot pass for another.
func (i *Identity) Sign(message []byte) []byte { return ed25519.Sign(i.key, message) }

// secret derives a key that only this identity knows and that stays the same
// over restarts.
func (i *Identity) secret(purpose string) [32]byte {
	mac := hmac.New(sha256.New, i.key.Seed())
	mac.Write([]byte("slapd " + purpose))
	return [32]byte(mac.Sum(nil))
}

const identityFile = "identity.key"

// LoadOrCreateIdentity reads the identity in the state folder dir, or makes
// one there. The file is readable by its owner only and written whole or not
// at all: an identity that is lost is another peer.
func LoadOrCreateIdentity(dir string) (*Identity, error) {
	path := filepath.Join(dir, identityFile)
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		return parseIdentity(path, data)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read identity: %w", err)
	}
	id, err := NewIdentity(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(id.key)
	if err != nil {
		return nil, fmt.Errorf("encode identity: %w", err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := writeFile(path, block); err != nil {
		return nil, fmt.Errorf("keep identity: %w", err)
	}
	return id, nil
}

func parseIdentity(path string, data []byte) (*Identity, error) {
	key, err := parsePrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("read identity %s: %w: restore the file from a backup, or move it away to become a new peer", path, err)
	}
	return identityFromSeed(key.Seed()), nil
}

// parsePrivateKey reads the first private key in PEM data.
func parsePrivateKey(data []byte) (ed25519.PrivateKey, error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "PRIVATE KEY" {
			continue
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("private key is damaged: %w", err)
		}
		key, ok := parsed.(ed25519.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("private key is a %T, wants Ed25519", parsed)
		}
		return key, nil
	}
	return nil, errors.New("no private key in it")
}

// printable reports whether s is at most limit bytes of plain text, fit for a
// terminal and a log.
func printable(s string, limit int) bool {
	return len(s) <= limit && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' })
}
