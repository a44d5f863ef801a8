package lan

import (
	"bytes"
	"strings"
	"testing"
)

// A question and its answers name neither the mesh nor its digest, unless the
// mesh is an open one.
func TestFramesTellStrangersNothing(t *testing.T) {
	digest, other := [32]byte{}, [32]byte{9}
	copy(digest[:], "0123456789abcdef0123456789abcdef")
	q := question{nonce: [16]byte{1}, digest: &digest}
	a, err := parseQuestion(q.encode())
	if err != nil || !a.forMesh(digest) || a.forMesh(other) {
		t.Fatal(a, err)
	}
	for _, f := range [][]byte{q.encode(), a.yes(digest, 7527)} {
		if bytes.Contains(f, digest[:8]) || len(f) != frameSize {
			t.Errorf("%d bytes: %q", len(f), f)
		}
	}
	if port, of, _, err := q.answer(a.yes(digest, 7527)); err != nil || port != 7527 || of != digest {
		t.Error(port, of, err)
	}
	later := question{nonce: [16]byte{2}, digest: &digest}
	for what, f := range map[string][]byte{
		"of another mesh":          a.yes(other, 7527),
		"to another question":      asked{nonce: later.nonce}.yes(digest, 7527),
		"of an open mesh":          a.open(digest, 7527, "market"),
		"without a port":           a.yes(digest, 0),
		"with another port":        append(append(bytes.Clone(a.yes(digest, 7527)[:prefixSize+nonceSize]), 1, 1), a.yes(digest, 7527)[prefixSize+nonceSize+2:]...),
		"the question itself":      q.encode(),
		"cut short":                a.yes(digest, 7527)[:frameSize-1],
		"longer than the question": append(a.yes(digest, 7527), 0),
	} {
		if _, _, _, err := q.answer(f); err == nil {
			t.Errorf("an answer %s is believed", what)
		}
	}
	any := question{nonce: [16]byte{3}}
	b, err := parseQuestion(any.encode())
	if err != nil || b.forMesh(digest) {
		t.Error(b, err)
	}
	if port, of, name, err := any.answer(b.open(digest, 1, strings.Repeat("x", 100))); err != nil || port != 1 || of != digest || len(name) != maxName {
		t.Error(port, of, name, err)
	}
}

func FuzzFrames(f *testing.F) {
	digest := [32]byte{1}
	q := question{digest: &digest}
	a, _ := parseQuestion(q.encode())
	for _, b := range [][]byte{q.encode(), question{}.encode(), a.yes(digest, 1), a.open(digest, 1, "m"), {}, []byte("slapd-lan1 ask ")} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := parseQuestion(data); err == nil && got.forMesh([32]byte{2}) {
			t.Error("a question for a mesh that nobody has")
		}
		for _, q := range []question{q, {}} {
			if port, _, name, err := q.answer(data); err == nil && (port == 0 || len(name) > maxName) {
				t.Errorf("%d %q", port, name)
			}
		}
	})
}

func TestBucketBounds(t *testing.T) {
	var b bucket
	n := 0
	for range 100 {
		if b.take(b.until) {
			n++
		}
	}
	if n > answersPerSecond {
		t.Errorf("%d answers at once", n)
	}
}
