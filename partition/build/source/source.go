// Package source fetches what goes into a tree besides Debian packages, and
// hands each out as one tar archive.
//
// Everything is named by its content: a digest of an archive or an image, the
// sum of a Go module, the integrity of each package in a lock, a commit. It is
// checked here before anything is made of it. Downloads go on where they were
// interrupted, are tried again with growing pauses, and are kept by their digest
// until [Fetcher.Clean]. What has to be built is built after all is fetched, in a
// sandbox without a network.
//
// Elsewhere: what may be in an archive is package store's to say, which unpacks
// it: paths that lead out, devices, and more than the limits are refused there.
package source

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/partition/release"
)

// A Fetcher fetches sources. Dir, Clock and Tree are required.
type Fetcher struct {
	// Dir keeps downloads. Its user holds a lock on it.
	Dir string
	// Clock tells the time.
	Clock func() time.Time
	// Arch is what Go calls the architecture to fetch for.
	Arch string
	// Tree returns the root of a tree with Debian packages, for tools that this
	// computer does not have itself.
	Tree func(ctx context.Context, packages ...string) (root string, err error)
	// Private allows what only this computer can reach: addresses of its own
	// network, and its files. See [PrivateError].
	Private bool
	// NPM is the registry that stands in for npm's own. Default: that one.
	NPM string
	// Environ is added to the environment of git and go. The proxies in it
	// (HTTP_PROXY, HTTPS_PROXY, NO_PROXY) are asked by the others as well.
	Environ []string
}

// A Progress says how far the fetching of one source is.
type Progress struct {
	What        string // what is being done to what
	Bytes, Size int64  // Size is 0 when it is not known
}

// An Archive is a source, ready to be unpacked.
type Archive struct {
	Name, Version string
	Size          int64 // of what was downloaded, in bytes
	// Open reads the archive from its beginning.
	Open func(context.Context) (io.ReadCloser, error)
}

// Fetch fetches a source, and builds it if it has to be. Progress is told to
// report by one goroutine at a time.
func (f *Fetcher) Fetch(ctx context.Context, s release.Source, report func(Progress)) (Archive, error) {
	for _, dir := range []string{"downloads", "work"} {
		if err := os.MkdirAll(filepath.Join(f.Dir, dir), 0o755); err != nil {
			return Archive{}, fmt.Errorf("%s: %w", s.Kind, err)
		}
	}
	var a Archive
	var err error
	switch s.Kind {
	case release.SourceArchive:
		a, err = f.archive(ctx, s, report)
	case release.SourceOCI:
		a, err = f.image(ctx, s, report)
	case release.SourceGo:
		a, err = f.module(ctx, s, report)
	case release.SourceNPM:
		a, err = f.npm(ctx, s, report)
	case release.SourceGit:
		a, err = f.git(ctx, s, report)
	case release.SourceFolder:
		a = folder(s)
	default:
		err = errors.New("this program does not know that kind of source: use a newer one")
	}
	if err != nil {
		return Archive{}, fmt.Errorf("%s %s: %w", s.Kind, cmp.Or(s.URL, s.Into), err)
	}
	return a, nil
}

// Clean removes what was downloaded, once it is unpacked.
func (f *Fetcher) Clean() error {
	return errors.Join(os.RemoveAll(filepath.Join(f.Dir, "downloads")), os.RemoveAll(filepath.Join(f.Dir, "work")))
}

// work makes a folder for one step. The caller removes it.
func (f *Fetcher) work() (string, error) { return os.MkdirTemp(filepath.Join(f.Dir, "work"), "step-") }

// folder makes an archive of files of the profile.
func folder(s release.Source) Archive {
	return Archive{Name: "folder", Version: s.Into, Open: func(context.Context) (io.ReadCloser, error) {
		return write(func(w *tar.Writer) error {
			for _, name := range slices.Sorted(maps.Keys(s.Files)) {
				if err := addFile(w, into(s.Into, name), s.Files[name], false); err != nil {
					return err
				}
			}
			return nil
		}), nil
	}}
}

// into puts a path into a folder. It does not clean it: a path that leads out
// has to be seen as such by who unpacks.
func into(folder, name string) string {
	if folder == "" {
		return name
	}
	return folder + "/" + name
}

func addFile(w *tar.Writer, name string, content []byte, executable bool) error {
	h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(content)), Mode: 0o644}
	if executable {
		h.Mode = 0o755
	}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

// write returns the archive that f writes while it is read.
func write(f func(*tar.Writer) error) io.ReadCloser {
	r, to := io.Pipe()
	go func() {
		w := tar.NewWriter(to)
		err := f(w)
		if err == nil {
			err = w.Close()
		}
		_ = to.CloseWithError(err)
	}()
	return r
}
