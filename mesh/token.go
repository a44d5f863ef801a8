package mesh

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

const (
	// DefaultPort is the mesh's port, in UDP and in TCP.
	DefaultPort = 7527

	tokenPrefix  = "slapd1-"
	checksumSize = 4
)

// A Token admits its bearer to a mesh. It names the mesh by the digest of its
// CA, so that the bearer cannot be lured into another one.
type Token struct {
	CADigest [32]byte
	Secret   [16]byte
}

// String is the token as people paste it: prefix, digest, secret and a
// checksum that tells a typing mistake from a refusal.
func (t Token) String() string {
	return tokenPrefix + seal(append(t.CADigest[:], t.Secret[:]...))
}

// Digest is what the ledger keeps of a token. The secret itself is kept by
// nobody but the bearer.
func (t Token) Digest() [32]byte { return sha256.Sum256(t.Secret[:]) }

// ParseToken reads a token. Errors say what is malformed.
func ParseToken(s string) (Token, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	rest, ok := strings.CutPrefix(s, tokenPrefix)
	if !ok {
		if version, _, found := strings.Cut(s, "-"); found && strings.HasPrefix(version, "slapd") {
			return Token{}, fmt.Errorf("token: its kind %.16q is not known here: upgrade slapd, or ask for a new token", version)
		}
		return Token{}, fmt.Errorf("token: does not begin with %q: copy it whole from `slapd token create`", tokenPrefix)
	}
	var t Token
	payload, err := unseal(rest, len(t.CADigest)+len(t.Secret))
	if err != nil {
		return Token{}, fmt.Errorf("token: %w", err)
	}
	copy(t.CADigest[:], payload)
	copy(t.Secret[:], payload[len(t.CADigest):])
	return t, nil
}

// A Fingerprint is the digest of a mesh's CA: what an open mesh prints for
// those who join without a token.
type Fingerprint [32]byte

// String is the fingerprint as people paste it.
func (f Fingerprint) String() string { return seal(f[:]) }

// ParseFingerprint reads a fingerprint. Errors say what is malformed.
func ParseFingerprint(s string) (Fingerprint, error) {
	var f Fingerprint
	payload, err := unseal(strings.ToLower(strings.TrimSpace(s)), len(f))
	if err != nil {
		return f, fmt.Errorf("fingerprint: %w", err)
	}
	copy(f[:], payload)
	return f, nil
}

// ParseAddress reads HOST[:PORT][#FINGERPRINT], as people type it, into an
// address with a port and a fingerprint or nil.
func ParseAddress(s string) (address string, fingerprint *Fingerprint, err error) {
	address, sharp, found := strings.Cut(strings.TrimSpace(s), "#")
	if found {
		f, err := ParseFingerprint(sharp)
		if err != nil {
			return "", nil, fmt.Errorf("address %q: %w", s, err)
		}
		fingerprint = &f
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = address, strconv.Itoa(DefaultPort)
		if inner, ok := strings.CutPrefix(host, "["); ok {
			host, _ = strings.CutSuffix(inner, "]")
		}
	}
	if strings.ContainsAny(host, "[]/ ") || (strings.Contains(host, ":") && !isIPv6(host)) {
		return "", nil, fmt.Errorf("address %q: not HOST, HOST:PORT or [IPv6]:PORT", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", nil, fmt.Errorf("address %q: the port is a number from 1 to 65535", s)
	}
	if host == "" {
		return "", nil, fmt.Errorf("address %q: no host in it", s)
	}
	return net.JoinHostPort(host, port), fingerprint, nil
}

func isIPv6(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Is6()
}

// seal writes payload and its checksum in base32.
func seal(payload []byte) string {
	sum := sha256.Sum256(append([]byte(tokenPrefix), payload...))
	return base32Lower.EncodeToString(append(payload, sum[:checksumSize]...))
}

// unseal reads size bytes that seal wrote.
func unseal(s string, size int) ([]byte, error) {
	if want := base32Lower.EncodedLen(size + checksumSize); len(s) != want {
		return nil, fmt.Errorf("has %d characters after its beginning, wants %d: was it cut off?", len(s), want)
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '2' || r > '7') }); i >= 0 {
		return nil, fmt.Errorf("character %q does not belong in it: only a-z and 2-7 do", []rune(s[i:])[0])
	}
	data, err := base32Lower.DecodeString(s)
	if err != nil {
		return nil, errors.New("not readable: copy it again")
	}
	payload := data[:size]
	if seal(append([]byte(nil), payload...)) != s {
		return nil, errors.New("mistyped somewhere (its checksum is wrong): copy it again")
	}
	return payload, nil
}
