package journal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// MaxCheckpoint bounds the bytes of a signed checkpoint.
const MaxCheckpoint = 32 << 10

// A Checkpoint says what the journal of a mesh was at a size. Its text is
// that of C2SP tlog-checkpoint, without extension lines.
type Checkpoint struct {
	Origin string // the mesh
	Size   uint64
	Root   Hash
}

// String returns the text that is signed.
func (c Checkpoint) String() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
}

// parseCheckpoint reads the text of a checkpoint, in its one form.
func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] == "" || lines[3] != "" {
		return Checkpoint{}, errors.New("checkpoint: want three lines: origin, size and root")
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil || size > maxSize {
		return Checkpoint{}, fmt.Errorf("checkpoint: size %.24q: not a size", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: root %.64q: not a hash", lines[2])
	}
	c := Checkpoint{lines[0], size, root}
	if c.String() != text {
		return Checkpoint{}, errors.New("checkpoint: not the one form of its text")
	}
	return c, nil
}

// A Signed checkpoint is one whose signatures were checked: [Trust.Open],
// [Sign] and [Signed.Cosign] make them.
type Signed struct {
	Checkpoint
	text    []byte
	signers []string
}

// Text returns the note: the checkpoint and its signatures.
func (s Signed) Text() []byte { return bytes.Clone(s.text) }

// Signers returns the names of those whose signatures were checked.
func (s Signed) Signers() []string { return append([]string(nil), s.signers...) }

// Sign signs a checkpoint.
func Sign(c Checkpoint, signers ...note.Signer) (Signed, error) {
	if _, err := parseCheckpoint(c.String()); err != nil {
		return Signed{}, fmt.Errorf("sign: %w", err)
	}
	if len(signers) == 0 {
		return Signed{}, errors.New("sign checkpoint: a signer required")
	}
	return signNote(c, &note.Note{Text: c.String()}, nil, signers...)
}

// Cosign adds a signature. Who cosigns vouches for having seen the same
// entries, so it checks c with [Journal.Keep] first.
func (s Signed) Cosign(signer note.Signer) (Signed, error) {
	n, err := unverified(s.text)
	if err != nil {
		return Signed{}, fmt.Errorf("cosign checkpoint %d: %w", s.Size, err)
	}
	return signNote(s.Checkpoint, n, s.signers, signer)
}

func signNote(c Checkpoint, n *note.Note, names []string, signers ...note.Signer) (Signed, error) {
	text, err := note.Sign(n, signers...)
	if err != nil {
		return Signed{}, fmt.Errorf("sign checkpoint %d: %w", c.Size, err)
	}
	signed := Signed{c, text, append([]string(nil), names...)}
	for _, signer := range signers {
		signed.signers = append(signed.signers, signer.Name())
	}
	return signed, nil
}

// Trust says whose checkpoints count.
type Trust struct {
	Origin    string         // the mesh
	Verifiers note.Verifiers // its voters, present and past
	Quorum    int            // how many must have signed; at least one
}

// Open checks a note: that it is a checkpoint of the mesh, and that a quorum
// signed it. A wrong signature in the name of a known voter spoils the note.
func (t Trust) Open(text []byte) (Signed, error) {
	if len(text) > MaxCheckpoint {
		return Signed{}, fmt.Errorf("checkpoint of %d bytes: at most %d", len(text), MaxCheckpoint)
	}
	n, err := note.Open(text, t.Verifiers)
	if err != nil {
		return Signed{}, fmt.Errorf("checkpoint: %w", err)
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return Signed{}, err
	}
	if c.Origin != t.Origin {
		return Signed{}, fmt.Errorf("checkpoint of %q: want one of %q", c.Origin, t.Origin)
	}
	signed := Signed{Checkpoint: c, text: bytes.Clone(text)}
	voices := make(map[string]bool)
	for _, sig := range n.Sigs {
		if !voices[sig.Name] { // two keys of one voter are one voice
			voices[sig.Name] = true
			signed.signers = append(signed.signers, sig.Name)
		}
	}
	if want := max(t.Quorum, 1); len(voices) < want {
		return Signed{}, fmt.Errorf("checkpoint %d: signed by %d, want %d", c.Size, len(voices), want)
	}
	return signed, nil
}

// unverified reads a note without checking who signed it.
func unverified(text []byte) (*note.Note, error) {
	n, err := note.Open(text, nil)
	if e, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		return e.Note, nil
	}
	return n, err
}

// claimed reads a checkpoint without checking who signed it.
func claimed(text []byte) (Checkpoint, error) {
	n, err := unverified(text)
	if err != nil {
		return Checkpoint{}, err
	}
	return parseCheckpoint(n.Text)
}

// NewVerifier returns the verifier of a voter's signatures.
func NewVerifier(name string, key ed25519.PublicKey) (note.Verifier, error) {
	text, err := note.NewEd25519VerifierKey(name, key)
	if err != nil {
		return nil, fmt.Errorf("verifier %q: %w", name, err)
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return nil, fmt.Errorf("verifier %q: %w", name, err)
	}
	return v, nil
}

// NewSigner returns a signer whose private key stays where it is: sign makes
// an Ed25519 signature of a message that verifies under key.
func NewSigner(name string, key ed25519.PublicKey, sign func(message []byte) []byte) (note.Signer, error) {
	v, err := NewVerifier(name, key)
	if err != nil {
		return nil, err
	}
	return signer{v, sign}, nil
}

type signer struct {
	note.Verifier
	sign func([]byte) []byte
}

// Sign signs.
func (s signer) Sign(message []byte) ([]byte, error) { return s.sign(message), nil }
