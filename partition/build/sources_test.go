package build_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/slapmesh/slapmesh/partition/build"
	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/partition/store"
)

// alone is a builder with a folder of its own, which needs no apt for what the
// tests below build.
func alone(t *testing.T, change func(*build.Config)) (*build.Builder, *store.Store) {
	t.Helper()
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cfg := build.Config{Store: s, Dir: t.TempDir(), Clock: time.Now, Private: true}
	if change != nil {
		change(&cfg)
	}
	b, err := build.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b, s
}

// An item is one entry of an archive.
type item struct {
	name, content string
	kind          byte
	link          string
}

func tarOf(items ...item) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, i := range items {
		h := &tar.Header{Name: i.name, Typeflag: i.kind, Linkname: i.link, Mode: 0o755, Size: int64(len(i.content))}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		if _, err := io.WriteString(w, i.content); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func packed(t *testing.T, data []byte, open func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := open(&out)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gz(t *testing.T, data []byte) []byte {
	t.Helper()
	return packed(t, data, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil })
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// read returns the content of a file of a tree.
func read(t *testing.T, tree build.Tree, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(tree.Path, name))
	if err != nil {
		t.Error(err)
	}
	return string(data)
}

func TestArchives(t *testing.T) {
	plain := tarOf(item{name: "x-1.0/bin/tool", content: "tool"}, item{name: "x-1.0/share/a", content: "a"},
		item{name: "x-1.0/bin/again", kind: tar.TypeLink, link: "x-1.0/bin/tool"}, item{name: "x-1.0/lib", kind: tar.TypeSymlink, link: "share"})
	var zipped bytes.Buffer
	w := zip.NewWriter(&zipped)
	for name, content := range map[string]string{"x-1.0/bin/tool": "tool", "x-1.0/share/a": "a", "x-1.0/bin/again": "tool"} {
		f, err := w.Create(name)
		if err == nil {
			_, err = io.WriteString(f, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"/x.tar": plain, "/x.tar.gz": gz(t, plain), "/x.zip": zipped.Bytes(),
		"/x.tar.xz":  packed(t, plain, func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) }),
		"/x.tar.zst": packed(t, plain, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(files[r.URL.Path]) }))
	defer server.Close()
	for name, content := range files {
		t.Run(name[1:], func(t *testing.T) {
			b, s := alone(t, nil)
			local := filepath.Join(t.TempDir(), "local")
			if err := os.WriteFile(local, content, 0o644); err != nil {
				t.Fatal(err)
			}
			for _, from := range []string{server.URL + name, "file://" + local} {
				tree, err := b.Build(t.Context(), []release.Source{{Kind: release.SourceArchive, URL: from, Digest: hash(content), Into: "opt/x", Strip: 1}}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got := read(t, tree, "opt/x/bin/tool") + read(t, tree, "opt/x/share/a") + read(t, tree, "opt/x/bin/again"); got != "toolatool" {
					t.Errorf("files: %q", got)
				}
				if err := s.Verify(t.Context(), tree.Digest); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestHostileArchives is about archives that were made to do harm.
func TestHostileArchives(t *testing.T) {
	long := strings.Repeat("n", 256)
	for name, test := range map[string]struct {
		items []item
		into  string
		err   string
	}{
		"a path that leads out":        {[]item{{name: "../../etc/passwd", content: "x"}}, "opt", "does not stay within"},
		"a path that leads out inside": {[]item{{name: "a/../../../b", content: "x"}}, "opt", "does not stay within"},
		"an absolute path":             {[]item{{name: "/etc/passwd", content: "x"}}, "", "does not stay within"},
		"through a link":               {[]item{{name: "a", kind: tar.TypeSymlink, link: "/etc"}, {name: "a/passwd", content: "x"}}, "", "leads through"},
		"through a link of into":       {[]item{{name: "../opt", kind: tar.TypeSymlink, link: "/etc"}}, "opt", "does not stay within"},
		"a hard link out":              {[]item{{name: "a", kind: tar.TypeLink, link: "../../etc/passwd"}}, "opt", "is a link to"},
		"a device":                     {[]item{{name: "a", kind: tar.TypeBlock}}, "", "neither file, folder nor link"},
		"twice":                        {[]item{{name: "a", content: "x"}, {name: "a", content: "y"}}, "", "is there twice"},
		"a name that is too long":      {[]item{{name: long, content: "x"}}, "", "longer than 255"},
		"links in a circle":            {[]item{{name: "a", kind: tar.TypeLink, link: "b"}, {name: "b", kind: tar.TypeLink, link: "a"}}, "", "which is no file"},
	} {
		t.Run(name, func(t *testing.T) {
			content := gz(t, tarOf(test.items...))
			local := filepath.Join(t.TempDir(), "x.tar.gz")
			if err := os.WriteFile(local, content, 0o644); err != nil {
				t.Fatal(err)
			}
			b, s := alone(t, nil)
			_, err := b.Build(t.Context(), []release.Source{{Kind: release.SourceArchive, URL: "file://" + local, Digest: hash(content), Into: test.into}}, nil)
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if trees, err := s.Trees(); err != nil || len(trees) > 0 {
				t.Errorf("trees %v (%v)", trees, err)
			}
		})
	}
	odd := gz(t, tarOf(item{name: "a\nb\tc", content: "x"}, item{name: "d e'f\"$(g)", content: "y"}))
	local := filepath.Join(t.TempDir(), "x.tar.gz")
	if err := os.WriteFile(local, odd, 0o644); err != nil {
		t.Fatal(err)
	}
	b, _ := alone(t, nil)
	tree, err := b.Build(t.Context(), []release.Source{{Kind: release.SourceArchive, URL: "file://" + local, Digest: hash(odd), Into: "o"}}, nil)
	if err != nil || read(t, tree, "o/a\nb\tc")+read(t, tree, "o/d e'f\"$(g)") != "xy" {
		t.Errorf("names with newlines: %v", err)
	}
}

// A flaky server ends each answer after some bytes.
type flaky struct {
	content []byte
	each    int
	ranges  atomic.Int64
	asked   atomic.Int64
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := 0
	f.asked.Add(1)
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &begin); err == nil {
		f.ranges.Add(1)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", begin, len(f.content)-1, len(f.content)))
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(f.content)-begin))
	if begin > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	_, _ = w.Write(f.content[begin:min(len(f.content), begin+f.each)])
}

// TestDownload is about lines that break, servers that lie, and patience.
func TestDownload(t *testing.T) {
	content := gz(t, tarOf(item{name: "a", content: strings.Repeat("0123456789abcdef", 1<<14)}))
	source := func(url, digest string) []release.Source {
		return []release.Source{{Kind: release.SourceArchive, URL: url, Digest: digest}}
	}
	t.Run("goes on", func(t *testing.T) {
		f := &flaky{content: content, each: len(content)/3 + 1}
		server := httptest.NewServer(f)
		defer server.Close()
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		b, _ := alone(t, nil)
		var steps []string
		if _, err := b.Build(t.Context(), source(server.URL+"/x", hash(content)), func(p build.Progress) { steps = append(steps, p.String()) }); err != nil {
			t.Fatal(err)
		}
		if f.asked.Load() != 3 || f.ranges.Load() != 2 {
			t.Errorf("asked %d times, %d with a range", f.asked.Load(), f.ranges.Load())
		}
		if text := strings.Join(steps, "\n"); !strings.Contains(text, "trying x again") {
			t.Errorf("said\n%s", text)
		}
	})
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		err     string
	}{
		"another file": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(gz(t, tarOf(item{name: "b"}))) }, "it is another file, or was changed"},
		"not there":    {func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, "404 Not Found"},
		"far too much": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1000000000000") }, "are more than"},
		"no archive":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello, world: a page")) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.handler)
			defer server.Close()
			digest := hash(content)
			if test.err == "" {
				digest, test.err = hash([]byte("hello, world: a page")), "archive:"
			}
			b, s := alone(t, nil)
			_, err := b.Build(t.Context(), source(server.URL+"/x", digest), nil)
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if trees, _ := s.Trees(); len(trees) > 0 {
				t.Errorf("trees %v", trees)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		hang := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("x"))
			w.(http.Flusher).Flush()
			close(hang)
			<-r.Context().Done()
		}))
		defer server.Close()
		b, _ := alone(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-hang
			cancel()
		}()
		if _, err := b.Build(ctx, source(server.URL+"/x", hash(content)), nil); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}
