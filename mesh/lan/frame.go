package lan

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// frameSize is that of every frame: an answer is never longer than what it
// answers, and lengths tell nothing.
const frameSize = 160

const (
	nonceSize = 16
	proofSize = 16
	maxName   = 63
)

// The beginnings of frames, which are their format too.
var (
	askPrivate    = []byte("slapd-lan1 ask ")
	askOpen       = []byte("slapd-lan1 any ")
	answerPrivate = []byte("slapd-lan1 yes ")
	answerOpen    = []byte("slapd-lan1 open")
)

const prefixSize = 15

var errFrame = errors.New("lan: not a frame of this version")

// proof is what only those can make, and check, that know the digest.
func proof(digest [32]byte, purpose string, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, digest[:])
	mac.Write([]byte("slapd lan " + purpose + "\x00"))
	for _, p := range parts {
		mac.Write(p)
	}
	return mac.Sum(nil)[:proofSize]
}

func frame(parts ...[]byte) []byte {
	return append(bytes.Join(parts, nil), make([]byte, frameSize)...)[:frameSize]
}

// A question asks who is there: peers of the mesh with that digest, or, if it
// is nil, of open ones.
type question struct {
	nonce  [nonceSize]byte
	digest *[32]byte
}

func (q question) encode() []byte {
	if q.digest == nil {
		return frame(askOpen, q.nonce[:])
	}
	return frame(askPrivate, q.nonce[:], proof(*q.digest, "ask", q.nonce[:]))
}

// An asked is a question as who may answer it reads it.
type asked struct {
	nonce [nonceSize]byte
	proof []byte // nil: for open meshes
}

func parseQuestion(b []byte) (asked, error) {
	var a asked
	if len(b) != frameSize {
		return a, errFrame
	}
	copy(a.nonce[:], b[prefixSize:])
	switch {
	case bytes.HasPrefix(b, askOpen):
		return a, nil
	case bytes.HasPrefix(b, askPrivate):
		a.proof = b[prefixSize+nonceSize:][:proofSize]
		return a, nil
	}
	return a, errFrame
}

// forMesh reports whether a question with a proof is for the mesh.
func (a asked) forMesh(digest [32]byte) bool {
	return a.proof != nil && hmac.Equal(a.proof, proof(digest, "ask", a.nonce[:]))
}

// yes answers a question for our mesh.
func (a asked) yes(digest [32]byte, port uint16) []byte {
	at := binary.BigEndian.AppendUint16(nil, port)
	return frame(answerPrivate, a.nonce[:], at, proof(digest, "yes", a.nonce[:], at))
}

// open answers a question for open meshes.
func (a asked) open(digest [32]byte, port uint16, name string) []byte {
	name = name[:min(len(name), maxName)]
	return frame(answerOpen, a.nonce[:], binary.BigEndian.AppendUint16(nil, port), digest[:], []byte{byte(len(name))}, []byte(name))
}

// answer reads what came back to a question. Of a private mesh it is believed
// only with the proof.
func (q question) answer(b []byte) (port uint16, digest [32]byte, name string, err error) {
	const at = prefixSize + nonceSize
	if len(b) != frameSize || [nonceSize]byte(b[prefixSize:at]) != q.nonce {
		return 0, digest, "", errFrame
	}
	port = binary.BigEndian.Uint16(b[at:])
	rest := b[at+2:]
	switch {
	case port == 0:
	case q.digest != nil && bytes.HasPrefix(b, answerPrivate):
		if hmac.Equal(rest[:proofSize], proof(*q.digest, "yes", q.nonce[:], b[at:at+2])) {
			return port, *q.digest, "", nil
		}
	case q.digest == nil && bytes.HasPrefix(b, answerOpen):
		size := int(rest[32])
		if text := rest[33:]; size <= maxName && utf8.Valid(text[:size]) {
			return port, [32]byte(rest), string(text[:size]), nil
		}
	}
	return 0, digest, "", errFrame
}
