package build

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/slapmesh/slapmesh/partition/release"
)

// A Signer signs what is built on a computer.
type Signer struct {
	Name string            // of the computer
	Key  ed25519.PublicKey // that its name can be told from
	Sign func(message []byte) []byte
}

// Elsewhere is where a tree may be had that was not built here.
type Elsewhere interface {
	// Fetch brings the tree of a key into the store of the [Builder], with the
	// attestation of who built it, which it has checked. It answers
	// [ErrNowhere] when there is nobody to ask, or nobody has it.
	Fetch(ctx context.Context, key string, report func(Progress)) (attestation []byte, err error)
}

// ErrNowhere says that nobody has a tree.
var ErrNowhere = errors.New("no peer that this computer trusts has it built for this architecture")

// A record says what sources have become. It is kept as JSON, for people.
type record struct {
	Key         string           `json:"key,omitempty"`
	Arch        string           `json:"arch"`
	Sources     []release.Source `json:"sources"`
	Packages    []Package        `json:"packages"`
	Tree        string           `json:"tree"`
	Built       time.Time        `json:"built"`
	Builder     string           `json:"builder,omitempty"`
	Attestation []byte           `json:"attestation,omitempty"`
}

// An Attestation is the signed word of a computer that it made a tree of
// sources.
type Attestation struct {
	Key      string    `cbor:"1,keyasint"` // of the sources, and the architecture
	Arch     string    `cbor:"2,keyasint"`
	Packages []Package `cbor:"3,keyasint"`
	Tree     string    `cbor:"4,keyasint"`
	Built    int64     `cbor:"5,keyasint"` // Unix time, seconds
	Builder  string    `cbor:"6,keyasint"`
	Public   []byte    `cbor:"7,keyasint"` // of the builder: whoever reads this checks that it is the builder's
}

// signed is an attestation as it is kept and sent.
type signed struct {
	Statement []byte `cbor:"1,keyasint"`
	Signature []byte `cbor:"2,keyasint"`
}

// signedAs begins what is signed, so that it means nothing anywhere else.
const signedAs = "slapmesh: built\n"

// MaxAttestation bounds an encoded attestation, in bytes.
const MaxAttestation = 1 << 20

// OpenAttestation reads an attestation and checks its signature. Whose key it
// is, and whether that one is trusted, is the caller's to check.
func OpenAttestation(data []byte) (Attestation, error) {
	var s signed
	var a Attestation
	if len(data) > MaxAttestation {
		return a, fmt.Errorf("attestation: %d bytes are more than %d", len(data), MaxAttestation)
	}
	if err := strict.Unmarshal(data, &s); err != nil {
		return a, fmt.Errorf("attestation: %w", err)
	}
	if err := strict.Unmarshal(s.Statement, &a); err != nil {
		return Attestation{}, fmt.Errorf("attestation: %w", err)
	}
	if len(a.Public) != ed25519.PublicKeySize || !ed25519.Verify(a.Public, append([]byte(signedAs), s.Statement...), s.Signature) {
		return Attestation{}, errors.New("attestation: its signature is not its builder's")
	}
	return a, nil
}

// sign makes the attestation of a record.
func (s *Signer) sign(r record) ([]byte, error) {
	statement, err := canonical.Marshal(Attestation{r.Key, r.Arch, r.Packages, r.Tree, r.Built.Unix(), s.Name, s.Key})
	if err != nil {
		return nil, fmt.Errorf("attestation: %w", err)
	}
	return canonical.Marshal(signed{statement, s.Sign(append([]byte(signedAs), statement...))})
}

// read returns what is recorded under a key.
func (b *Builder) read(key string) (record, error) {
	var r record
	data, err := b.cfg.Store.Record(key)
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	return r, err
}

// write records what was built, signed.
func (b *Builder) write(r record) (err error) {
	if b.cfg.Signer != nil && r.Attestation == nil {
		r.Builder = b.cfg.Signer.Name
		if r.Attestation, err = b.cfg.Signer.sign(r); err != nil {
			return err
		}
	}
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	return b.cfg.Store.PutRecord(r.Key, data)
}

// Attested returns the attestation of what was built under a key, and the
// digest of the tree. What this computer built before it could sign is signed
// now.
func (b *Builder) Attested(key string) (attestation []byte, tree string, err error) {
	r, err := b.read(key)
	if err != nil {
		return nil, "", err
	}
	if r.Attestation == nil {
		if b.cfg.Signer == nil {
			return nil, "", errors.New("build: nobody has signed it")
		}
		r.Key = key
		if err := b.write(r); err != nil {
			return nil, "", err
		}
		if r, err = b.read(key); err != nil {
			return nil, "", err
		}
	}
	if _, err := b.cfg.Store.Tree(r.Tree); err != nil {
		return nil, "", err
	}
	return r.Attestation, r.Tree, nil
}

// fetch takes the tree of a key from elsewhere.
func (b *Builder) fetch(ctx context.Context, key string, sources []release.Source, p *progress) (Tree, error) {
	if b.cfg.Elsewhere == nil {
		return Tree{}, ErrNowhere
	}
	p.step(StepFetch, 0, 0)
	data, err := b.cfg.Elsewhere.Fetch(ctx, key, p.pass)
	if err != nil {
		return Tree{}, err
	}
	a, err := OpenAttestation(data)
	if err != nil {
		return Tree{}, err
	}
	if a.Key != key {
		return Tree{}, errors.New("attestation: it is of other sources")
	}
	tree, err := b.cfg.Store.Tree(a.Tree)
	if err != nil {
		return Tree{}, err
	}
	r := record{key, a.Arch, sources, a.Packages, a.Tree, time.Unix(a.Built, 0).UTC(), a.Builder, bytes.Clone(data)}
	if err := b.write(r); err != nil {
		return Tree{}, err
	}
	b.cfg.Log.Info("release tree taken from peers", "builder", a.Builder, "tree", a.Tree)
	return Tree{tree.Digest, tree.Path, a.Packages}, nil
}

var canonical = func() cbor.EncMode {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic("build: " + err.Error())
	}
	return mode
}()

// strict reads nothing ambiguous and nothing large.
var strict = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		MaxArrayElements: 4096,
		MaxNestedLevels:  8,
	}.DecMode()
	if err != nil {
		panic("build: " + err.Error())
	}
	return mode
}()
