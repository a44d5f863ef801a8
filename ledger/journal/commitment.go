package journal

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
)

// A Secret is what the salts of a mesh are drawn from. It belongs into the
// replicated state, where only voters read it, and never into the journal:
// whoever has it can try guesses at everything that the journal commits to.
type Secret [32]byte

// A Salt hides what a commitment is of. Each entry has its own, so telling
// one opens one entry and no other.
type Salt [32]byte

// A Commitment is a salted hash of what an entry does not carry. The zero
// value commits to nothing.
type Commitment [32]byte

// Salt returns the salt of the n-th entry.
func (s Secret) Salt(n uint64) Salt {
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], n)
	mac := hmac.New(sha256.New, s[:])
	mac.Write([]byte("slapmesh journal salt 1\n"))
	mac.Write(number[:])
	return Salt(mac.Sum(nil))
}

// Commit commits to rest. Who is shown rest and the salt later can tell that
// it is the same; who has neither learns nothing.
func (s Salt) Commit(rest []byte) Commitment {
	mac := hmac.New(sha256.New, s[:])
	mac.Write([]byte("slapmesh journal rest 1\n"))
	mac.Write(rest)
	return Commitment(mac.Sum(nil))
}

// Opens says whether c commits to rest under s.
func (c Commitment) Opens(s Salt, rest []byte) bool {
	again := s.Commit(rest)
	return subtle.ConstantTimeCompare(c[:], again[:]) == 1
}
