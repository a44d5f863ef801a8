package build_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/build"
	"github.com/slapmesh/slapmesh/partition/release"
)

// elsewhere is a peer that has, or claims to have, a tree.
type elsewhere struct {
	attestation []byte
	err         error
	asked       int
}

func (e *elsewhere) Fetch(context.Context, string, func(build.Progress)) ([]byte, error) {
	e.asked++
	return e.attestation, e.err
}

// TestAttested is about who says what a tree was made of.
func TestAttested(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	signer := &build.Signer{Name: "castle", Key: key.Public().(ed25519.PublicKey), Sign: func(m []byte) []byte { return ed25519.Sign(key, m) }}
	other := &elsewhere{err: build.ErrNowhere}
	b, s := alone(t, func(c *build.Config) { c.Signer, c.Elsewhere = signer, other })
	files := []release.Source{{Kind: release.SourceFolder, Into: "srv", Files: map[string][]byte{"a": []byte("a")}}}
	tree, err := b.Build(t.Context(), files, nil)
	if err != nil || other.asked != 1 {
		t.Fatalf("others were asked %d times before it was built (%v)", other.asked, err)
	}
	data, digest, err := b.Attested(b.Key(files))
	if err != nil || digest != tree.Digest {
		t.Fatalf("attested %s (%v), want %s", digest, err, tree.Digest)
	}
	a, err := build.OpenAttestation(data)
	if err != nil || a.Builder != "castle" || a.Tree != tree.Digest || a.Key != b.Key(files) || len(a.Packages) != 1 {
		t.Errorf("attestation %+v (%v)", a, err)
	}
	for n := range data {
		bent := bytes.Clone(data)
		bent[n] ^= 1
		if got, err := build.OpenAttestation(bent); err == nil {
			t.Fatalf("with another byte %d it says %+v", n, got)
		}
	}

	// A builder that never builds takes it, if the attestation is of what it asked for.
	taker, err := build.Open(build.Config{Store: s, Dir: t.TempDir(), Clock: time.Now, Elsewhere: &elsewhere{attestation: data}, Never: true})
	if err != nil {
		t.Fatal(err)
	}
	more := []release.Source{{Kind: release.SourceFolder, Into: "srv", Files: map[string][]byte{"b": []byte("b")}}}
	if _, err := taker.Build(t.Context(), more, nil); err == nil || !strings.Contains(err.Error(), "it is of other sources") {
		t.Errorf("another release's attestation: %v", err)
	}
	if got, err := taker.Build(t.Context(), files, nil); err != nil || got.Digest != tree.Digest {
		t.Errorf("took %v (%v)", got, err)
	}
	never, _ := alone(t, func(c *build.Config) { c.Never, c.Elsewhere = true, other })
	if _, err := never.Build(t.Context(), files, nil); !errors.Is(err, build.ErrNowhere) || !strings.Contains(err.Error(), "--no-build") {
		t.Errorf("error %v", err)
	}
}

func FuzzOpenAttestation(f *testing.F) {
	f.Add([]byte{0xa2, 1, 0x41, 0xa0, 2, 0x40})
	f.Add([]byte{0xa2, 1, 0x5a, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		if a, err := build.OpenAttestation(data); err == nil {
			t.Errorf("it believes %+v", a)
		}
	})
}
