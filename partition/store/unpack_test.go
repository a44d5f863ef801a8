package store_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/partition/store"
)

func TestUnpack(t *testing.T) {
	s := open(t, t.TempDir())
	p := add(t, s, pack{
		dir("./"), dir("./bin/"), program("./bin/tool", "#!/bin/sh\n"), link("./usr/bin/tool", "/bin/tool"),
		dir("./lib/"), file("./lib/x.so.1.2", "elf"), link("./lib/x.so", "x.so.1.2"),
		{Name: "./usr/sbin/again", Typeflag: tar.TypeLink, Linkname: "./bin/tool"},
		file("./usr/share/man/man1/tool.1", "manual"), file("./usr/share/doc/tool/changelog", "x"),
		file("./usr/share/doc/tool/copyright", "free"),
		{Name: "./var/secret/", Typeflag: tar.TypeDir, Mode: 0o2700},
	})
	const want = `usr/
usr/bin/
usr/bin/tool* 10
usr/lib/
usr/lib/x.so -> x.so.1.2
usr/lib/x.so.1.2 3
usr/sbin/
usr/sbin/again* 10
usr/share/
usr/share/doc/
usr/share/doc/tool/
usr/share/doc/tool/copyright 4
var/
var/secret/
`
	if got := describe(p.Manifest); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for name, mode := range map[string]fs.FileMode{"usr/bin/tool": 0o555, "usr/lib/x.so.1.2": 0o444} {
		if info, err := os.Lstat(filepath.Join(p.Dir, name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v (%v), want %v", name, info.Mode(), err, mode)
		}
	}
	if left := staged(t, s); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
}

func TestUnpackRefuses(t *testing.T) {
	tests := []struct {
		name    string
		archive []byte
		want    string
	}{
		{"parent", pack{file("../x", "")}.bytes(), "does not stay within the package"},
		{"inner parent", pack{file("a/../../x", "")}.bytes(), "does not stay within the package"},
		{"absolute", pack{file("/etc/x", "")}.bytes(), "does not stay within the package"},
		{"through a link", pack{link("a", "/etc"), file("a/passwd", "")}.bytes(), "leads through a, which is not a folder"},
		{"through a file", pack{file("a", ""), file("a/b", "")}.bytes(), "leads through a, which is not a folder"},
		{"twice", pack{file("a", "1"), file("a", "2")}.bytes(), "is there twice"},
		{"link over folder", pack{dir("a"), link("a", "/etc")}.bytes(), "is there twice"},
		{"twice after the merge", pack{file("bin/a", "1"), file("usr/bin/a", "2")}.bytes(), "is there twice"},
		{"device", pack{{Name: "a", Typeflag: tar.TypeChar}}.bytes(), "neither file, folder nor link"},
		{"fifo", pack{{Name: "a", Typeflag: tar.TypeFifo}}.bytes(), "neither file, folder nor link"},
		{"hard link out", pack{{Name: "a", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}}.bytes(), "no file"},
		{"hard link to link", pack{link("b", "/etc/passwd"), {Name: "a", Typeflag: tar.TypeLink, Linkname: "b"}}.bytes(), "not a file"},
		{"long name", pack{file(strings.Repeat("a", 256), "")}.bytes(), "longer than 255"},
		{"too many bytes", pack{file("a", strings.Repeat("a", 2000))}.bytes(), "more than 1000 bytes"},
		{"too many entries", pack{dir("a"), dir("b"), dir("c"), dir("d"), dir("e")}.bytes(), "more than 4 entries"},
		{"truncated", pack{file("a", strings.Repeat("a", 900))}.bytes()[:700], "unexpected EOF"},
		{"garbage", bytes.Repeat([]byte("garbage "), 200), "archive"},
	}
	s := open(t, t.TempDir())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := archive(test.archive)
			a.Limit = store.Limit{Entries: 4, Bytes: 1000}
			good := archive(pack{file(test.name, "x")}.bytes())
			err := s.Unpack(t.Context(), []store.Archive{good, a}, nil)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if s.HasPackage(a.Digest) || s.HasPackage(good.Digest) {
				t.Error("something got its name")
			}
			if left := staged(t, s); len(left) > 0 {
				t.Errorf("left in staging: %v", left)
			}
		})
	}
}

// TestUnpackSource holds that a reason that only Close knows is told.
func TestUnpackSource(t *testing.T) {
	s := open(t, t.TempDir())
	a := archive(pack{file("a", strings.Repeat("a", 900))}.bytes()[:700])
	reason := errors.New("the program that reads it was killed")
	inner := a.Open
	a.Open = func(ctx context.Context) (io.ReadCloser, error) {
		r, err := inner(ctx)
		return failing{r, reason}, err
	}
	if err := s.Unpack(t.Context(), []store.Archive{a}, nil); !errors.Is(err, reason) {
		t.Errorf("got %v", err)
	}
}

type failing struct {
	io.Reader
	err error
}

func (f failing) Close() error { return f.err }
