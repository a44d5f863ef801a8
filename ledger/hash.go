package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// A Hash is equal for equal states. It is the sum of the hashes of all rows,
// so it is kept up with a few additions a command and does not depend on the
// order in which rows were put. It finds replicas that differ by mistake; it
// is no proof against someone who forges rows.
type Hash [4]uint64

// String returns the hash in hexadecimal.
func (h Hash) String() string {
	var b [32]byte
	for i, w := range h {
		binary.BigEndian.PutUint64(b[8*i:], w)
	}
	return hex.EncodeToString(b[:])
}

func (h *Hash) add(o Hash) {
	for i := range h {
		h[i] += o[i]
	}
}

func (h *Hash) remove(o Hash) {
	for i := range h {
		h[i] -= o[i]
	}
}

// hashRow hashes one row, given the bytes of v if they are at hand. The
// bytes of a profile are named by their digest, which Publish has checked, so
// they are not hashed again.
func hashRow(id Table, k Key, v any, data []byte) Hash {
	if p, ok := v.(profile); ok {
		data = []byte(p.Digest)
	}
	if data == nil {
		data = mustEncode(v)
	}
	return hashOf(id, k, data)
}

func hashOf[D []byte | string](id Table, k Key, data D) Hash {
	buf := make([]byte, 0, 512)
	buf = append(buf, byte(id))
	buf = append(append(buf, k.A...), 0)
	buf = append(append(buf, k.B...), 0)
	buf = binary.BigEndian.AppendUint64(buf, k.N)
	sum := sha256.Sum256(append(buf, data...))
	var h Hash
	for i := range h {
		h[i] = binary.BigEndian.Uint64(sum[8*i:])
	}
	return h
}

// Hash returns the hash of s, its index included. Two full states with the
// same history have the same.
func (s *State) Hash() Hash {
	h := s.sum
	h.add(hashOf(0, Key{N: s.index}, mustEncode(s.counters)))
	return h
}
