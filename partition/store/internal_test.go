package store

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
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

func FuzzUnpack(f *testing.F) {
	for _, headers := range [][]tar.Header{
		{{Name: "a", Typeflag: tar.TypeDir}, {Name: "a/b", Typeflag: tar.TypeSymlink, Linkname: "../../.."}},
		{{Name: "a", Typeflag: tar.TypeSymlink, Linkname: ".."}, {Name: "a/b", Typeflag: tar.TypeReg}},
		{{Name: "a", Typeflag: tar.TypeReg}, {Name: "bin/b", Typeflag: tar.TypeLink, Linkname: "a"}},
		{{Name: "../a", Typeflag: tar.TypeReg}, {Name: "/b", Typeflag: tar.TypeFifo}},
	} {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		for _, h := range headers {
			if err := w.WriteHeader(&h); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(out.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		inside := filepath.Join(dir, "inside")
		if err := os.Mkdir(inside, 0o755); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(inside)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = root.Close() }()
		if m, err := unpack(bytes.NewReader(data), root, Limit{Entries: 100, Bytes: 1 << 20}); err == nil {
			if err := m.check(); err != nil {
				t.Errorf("unpacked what is not sound: %v", err)
			}
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("something is outside: %v %v", entries, err)
		}
	})
}
