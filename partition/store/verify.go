package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A Fault is something of a tree that is not what its manifest says.
type Fault struct {
	Path string
	What string // is wrong with it
}

// damagedName marks a tree that is not to be used until it is mended. It is
// beside the manifest.
const damagedName = "damaged"

// maxFaults bounds how many are told.
const maxFaults = 1000

// A Checked is what [Store.Inspect] found.
type Checked struct {
	Files  int
	Bytes  int64
	Faults []Fault // at most 1000
}

// Inspect reads all of a tree and says what is wrong with it: what is missing,
// changed, or there without belonging to it. The error is fs.ErrNotExist when
// there is no such tree, and otherwise that of a disk which cannot be read.
func (s *Store) Inspect(ctx context.Context, digest string) (Checked, error) {
	var out Checked
	if err := checkDigest(digest); err != nil {
		return out, fmt.Errorf("store %s: tree: %w: %w", s.dir, err, fs.ErrNotExist)
	}
	if _, err := os.Lstat(filepath.Join(s.dir, treesDir, digest)); err != nil {
		return out, fmt.Errorf("store %s: tree %.12s: %w", s.dir, digest, err)
	}
	dir, manifest, err := s.read(treesDir, digest)
	if err != nil || manifest.Digest() != digest {
		out.Faults = []Fault{{manifestName, "it does not say any more what the tree has"}}
		return out, nil //nolint:nilerr // that is what was found
	}
	root := filepath.Join(dir, rootName)
	known := make(map[string]bool, len(manifest))
	for _, e := range manifest {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		known[e.Path] = true
		if e.Kind == File {
			out.Files++
			out.Bytes += e.Size
		}
		if what := differs(root, e); what != "" {
			out.add(e.Path, what)
		}
	}
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		rel, rerr := filepath.Rel(root, name)
		switch {
		case err != nil || rerr != nil:
			return errors.Join(ignoreMissing(err), rerr)
		case rel == "." || known[rel]:
			return ctx.Err()
		}
		out.add(rel, "does not belong to the tree")
		if entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	return out, err
}

func (c *Checked) add(path, what string) {
	if len(c.Faults) < maxFaults {
		c.Faults = append(c.Faults, Fault{path, what})
	}
}

// differs says how what is at a path differs from its entry; "" if it does not.
func differs(root string, e Entry) string {
	got, err := inspect(root, e.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "is missing"
	case err != nil:
		return "cannot be read: " + err.Error()
	case got.Kind != e.Kind:
		return "is another kind of file"
	case got.Executable != e.Executable:
		return "has another mode"
	case !got.same(e):
		return "has another content"
	}
	return ""
}

// Condemn keeps a tree from being used until somebody makes it again, when what
// is wrong with it is put right in its place: what runs from it goes on, and
// gets the right files as it opens them. What is shared with other trees, and
// came to harm, goes at once.
func (s *Store) Condemn(digest string, faults []Fault) error {
	if err := checkDigest(digest); err != nil {
		return fmt.Errorf("store %s: tree: %w", s.dir, err)
	}
	var said strings.Builder
	wrong := make(map[string]bool, len(faults))
	for _, f := range faults {
		wrong[f.Path] = true
		fmt.Fprintf(&said, "%q %s\n", f.Path, f.What)
	}
	if err := s.writeAtomic(filepath.Join(treesDir, digest, damagedName), []byte(said.String())); err != nil {
		return s.explain(err)
	}
	_, manifest, err := s.read(treesDir, digest)
	if err != nil {
		return nil //nolint:nilerr // it is made anew with the rest
	}
	for _, e := range manifest {
		if e.Kind != File || !wrong[e.Path] {
			continue
		}
		if errors.Is(checkFile(e, s.shared(e)), errWrong) {
			err = errors.Join(err, ignoreMissing(os.Remove(s.shared(e))))
		}
	}
	return s.explain(err)
}

// mend puts right what is wrong with a tree, from the same one made anew.
func (s *Store) mend(made, digest string) error {
	dir := filepath.Join(s.dir, treesDir, digest)
	data, err := readFile(filepath.Join(made, manifestName), maxManifest)
	if err != nil {
		return err
	}
	manifest, err := decodeManifest(data)
	if err != nil {
		return err
	}
	root := filepath.Join(dir, rootName)
	known := make(map[string]bool, len(manifest))
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	for _, e := range manifest {
		known[e.Path] = true
		if differs(root, e) == "" {
			continue
		}
		if err := mendOne(filepath.Join(made, rootName, e.Path), filepath.Join(root, e.Path), e); err != nil {
			return err
		}
	}
	if err := removeUnknown(root, known); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(made, manifestName), filepath.Join(dir, manifestName)); err != nil {
		return err
	}
	if err := syncAll(dir); err != nil {
		return err
	}
	if err := ignoreMissing(os.Remove(filepath.Join(dir, damagedName))); err != nil {
		return err
	}
	return syncDir(dir)
}

// mendOne puts what is at from in place of what is at to.
func mendOne(from, to string, e Entry) error {
	info, err := os.Lstat(to)
	if err == nil && info.IsDir() != (e.Kind == Directory) {
		err = os.RemoveAll(to)
	}
	if err := ignoreMissing(err); err != nil {
		return err
	}
	if e.Kind == Directory {
		return makeDir(to)
	}
	return os.Rename(from, to)
}

// removeUnknown removes what does not belong to a tree.
func removeUnknown(root string, known map[string]bool) error {
	return filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		rel, rerr := filepath.Rel(root, name)
		if err != nil || rerr != nil {
			return errors.Join(ignoreMissing(err), rerr)
		}
		if rel == "." || known[rel] {
			return nil
		}
		if err := os.RemoveAll(name); err != nil {
			return err
		}
		if entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
}
