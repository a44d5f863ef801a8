//go:build unix

package supervisor

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What was packed is the same elsewhere, and nothing else is left there.
func TestPack(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	old := time.Unix(1_000_000_000, 0)
	long := strings.Repeat("long/", 40) + "name"
	for name, content := range map[string]string{
		"a": "one", "empty": "", "closed/b": "two", "latin1-\xe9": "three", long: "four", ".slapd/memory": "m", "lost+found/x": "",
	} {
		path := filepath.Join(from, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o640), os.Chtimes(path, old, old)); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(os.Symlink("../../etc/passwd", from+"/link"), syscall.Mkfifo(from+"/pipe", 0o600), os.Chmod(from+"/closed", 0o500),
		os.WriteFile(to+"/stale", nil, 0o600), os.MkdirAll(to+"/a/was a folder", 0o700))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	if err := packFolder(from, &packed); err != nil {
		t.Fatal(err)
	}
	if err := unpackFolder(to, &packed); err != nil {
		t.Fatal(err)
	}
	want := listing(t, from)
	want = strings.ReplaceAll(want, "pipe prw------- \n", "")
	want = strings.ReplaceAll(want, "lost+found drwxr-xr-x \nlost+found/x -rw-r----- 2001 \n", "")
	if got := listing(t, to); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// listing shows what a folder holds.
func listing(t *testing.T, folder string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		info, err := d.Info()
		content := []byte{}
		switch {
		case info.Mode().IsRegular():
			content, err = os.ReadFile(path)
			content = fmt.Appendf(nil, "%d %s", info.ModTime().UTC().Year(), content)
		case info.Mode()&fs.ModeSymlink != 0:
			link, _ := os.Readlink(path)
			content = []byte(link)
		}
		fmt.Fprintf(&out, "%s %s %s\n", strings.TrimPrefix(path, folder+"/"), info.Mode(), content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// An archive cannot reach out of the folder, and half of one is refused.
func TestUnpackRefuses(t *testing.T) {
	entry := func(entries ...tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range entries {
			h.Mode = 0o700
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(make([]byte, h.Size)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	whole := entry(tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 10_000})
	for name, archive := range map[string][]byte{
		"above":        entry(tar.Header{Typeflag: tar.TypeReg, Name: "../a"}),
		"absolute":     entry(tar.Header{Typeflag: tar.TypeReg, Name: "/tmp/a"}),
		"through link": entry(tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/tmp"}, tar.Header{Typeflag: tar.TypeReg, Name: "l/a"}),
		"over link":    entry(tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/tmp/a"}, tar.Header{Typeflag: tar.TypeReg, Name: "l"}),
		"device":       entry(tar.Header{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}),
		"hard link":    entry(tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "/etc/passwd"}),
		"cut off":      whole[:5000],
		"no archive":   bytes.Repeat([]byte("x"), 2000),
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if err := unpackFolder(filepath.Clean(folder), bytes.NewReader(archive)); err == nil {
				t.Error("accepted")
			}
			if _, err := os.Lstat("/tmp/a"); err == nil {
				t.Error("it reached out")
			}
		})
	}
}

// The messages of an archive end with one that says so, or not well.
func TestPieces(t *testing.T) {
	var wire bytes.Buffer
	content := bytes.Repeat([]byte("0123456789"), 20_000)
	if _, err := (&pieces{w: &frameWriter{conn: &wire}}).Write(content); err != nil {
		t.Fatal(err)
	}
	cut := bytes.Clone(wire.Bytes())
	if err := writeFrame(&wire, reply{Done: true}); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(&unpieces{r: &wire}); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := io.ReadAll(&unpieces{r: bytes.NewReader(cut)}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("without an end: %v", err)
	}
}
