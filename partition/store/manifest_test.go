package store

import (
	"bytes"
	"testing"
)

func FuzzDecodeManifest(f *testing.F) {
	sum := bytes.Repeat([]byte{1}, 32)
	f.Add(Manifest{{Path: "a", Kind: Directory}, {Path: "a/b", Kind: File, Sum: sum, Size: 1}, {Path: "c", Kind: Symlink, Target: "a"}}.encode())
	f.Add(Manifest{{Path: "../a", Kind: Directory}}.encode())
	f.Add(Manifest{{Path: "a", Kind: Symlink, Target: "/"}, {Path: "a/b", Kind: File, Sum: sum}}.encode())
	f.Add(Manifest{{Path: "b", Kind: Directory}, {Path: "a", Kind: Directory}}.encode())
	f.Add([]byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeManifest(data)
		if err != nil {
			return
		}
		again, err := decodeManifest(m.encode())
		if err != nil || again.Digest() != m.Digest() {
			t.Errorf("decoded again: %v", err)
		}
	})
}

func TestManifestOrder(t *testing.T) {
	m := sortManifest([]Entry{{Path: "a/b", Kind: Directory}, {Path: "a", Kind: Directory}, {Path: "a.b", Kind: Directory}})
	if err := m.check(); err != nil {
		t.Errorf("a sorted manifest: %v", err)
	}
}
