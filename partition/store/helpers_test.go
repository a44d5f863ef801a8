package store_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/partition/store"
)

// A pack is the headers of an archive; the content of a file is in its
// Linkname field.
type pack []tar.Header

func dir(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755} }

func file(name, content string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Linkname: content}
}

func program(name, content string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o4755, Linkname: content}
}

func link(name, target string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}
}

// bytes returns the archive.
func (p pack) bytes() []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range p {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content, h.Linkname = h.Linkname, ""
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			panic(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// archive returns what Unpack takes.
func archive(data []byte) store.Archive {
	return store.Archive{
		Digest: digestOf(data),
		Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(data)), nil
		},
	}
}

func open(tb testing.TB, dir string) *store.Store {
	tb.Helper()
	s, err := store.Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// add unpacks one package.
func add(tb testing.TB, s *store.Store, p pack) store.Package {
	tb.Helper()
	a := archive(p.bytes())
	if err := s.Unpack(tb.Context(), []store.Archive{a}, nil); err != nil {
		tb.Fatal(err)
	}
	out, err := s.Package(a.Digest)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// describe lists a manifest for comparison.
func describe(m store.Manifest) string {
	var out strings.Builder
	for _, e := range m {
		switch e.Kind {
		case store.Directory:
			fmt.Fprintf(&out, "%s/\n", e.Path)
		case store.Symlink:
			fmt.Fprintf(&out, "%s -> %s\n", e.Path, e.Target)
		case store.File:
			mark := ""
			if e.Executable {
				mark = "*"
			}
			fmt.Fprintf(&out, "%s%s %d\n", e.Path, mark, e.Size)
		}
	}
	return out.String()
}

// staged lists what is in the staging folder but the guard.
func staged(tb testing.TB, s *store.Store) []string {
	tb.Helper()
	entries, err := os.ReadDir(filepath.Join(s.Dir(), "staging"))
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != "guard" {
			names = append(names, e.Name())
		}
	}
	return names
}

// flip changes one bit of a file.
func flip(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err == nil {
		data[len(data)/2] ^= 1
		err = os.Chmod(name, 0o644)
	}
	if err == nil {
		err = os.WriteFile(name, data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
