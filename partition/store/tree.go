package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// A Tree is a root file system, ready to be mounted read-only.
type Tree struct {
	Digest string // of its manifest
	Path   string // its root
}

// Tree returns the tree of a digest. The error is fs.ErrNotExist when it is
// not there.
func (s *Store) Tree(digest string) (Tree, error) {
	if !s.has(treesDir, digest) {
		return Tree{}, fmt.Errorf("store %s: tree %.80q: %w", s.dir, digest, fs.ErrNotExist)
	}
	s.touch(filepath.Join(treesDir, digest))
	return Tree{digest, filepath.Join(s.dir, treesDir, digest, rootName)}, nil
}

// TreeManifest lists what a tree has.
func (s *Store) TreeManifest(digest string) (Manifest, error) {
	_, manifest, err := s.read(treesDir, digest)
	return manifest, err
}

// RemoveTree removes a tree. It loses its name at once, so that what is left
// when this is interrupted is never taken for a tree.
func (s *Store) RemoveTree(digest string) error {
	if err := checkDigest(digest); err != nil {
		return fmt.Errorf("store %s: tree: %w", s.dir, err)
	}
	return s.remove(filepath.Join(treesDir, digest))
}

// Verify reads all of a tree, as [Store.Inspect] does. The error is a
// [*CorruptError] about the first thing that is not what it was.
func (s *Store) Verify(ctx context.Context, digest string) error {
	found, err := s.Inspect(ctx, digest)
	if err == nil && len(found.Faults) > 0 {
		err = fmt.Errorf("store %s: %w", s.dir, &CorruptError{"tree", digest, found.Faults[0].Path})
	}
	return err
}

// inspect returns the entry of what is at a path.
func inspect(root, name string) (Entry, error) {
	full := filepath.Join(root, name)
	info, err := os.Lstat(full)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Path: name}
	switch {
	case info.IsDir():
		e.Kind = Directory
	case info.Mode().Type() == fs.ModeSymlink:
		e.Kind = Symlink
		e.Target, err = os.Readlink(full)
	case info.Mode().IsRegular():
		e.Kind, e.Executable, e.Size = File, info.Mode()&0o111 != 0, info.Size()
		e.Sum, err = sumFile(full)
	default:
		err = fmt.Errorf("is neither file, folder nor link (%v)", info.Mode().Type())
	}
	return e, err
}

func sumFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return nil, err
	}
	return sum.Sum(nil), nil
}

// A Composer makes one tree in a staging folder. Close it in any case; until
// Commit nobody sees what it makes. It is not safe for concurrent use.
type Composer struct {
	staging *staging
	entries map[string]Entry
}

// Compose begins a tree.
func (s *Store) Compose() (*Composer, error) {
	t, err := s.stage()
	if err != nil {
		return nil, s.explain(err)
	}
	c := &Composer{t, map[string]Entry{}}
	if err := makeDir(c.Root()); err != nil {
		t.discard()
		return nil, s.explain(err)
	}
	return c, nil
}

// Close removes what was not committed.
func (c *Composer) Close() { c.staging.discard() }

// Root is where the tree is being made.
func (c *Composer) Root() string { return filepath.Join(c.staging.dir, "tree", rootName) }

// Has tells whether the tree has something at a path.
func (c *Composer) Has(name string) bool { _, ok := c.entries[name]; return ok }

// Entry returns what the tree has at a path.
func (c *Composer) Entry(name string) (Entry, bool) { e, ok := c.entries[name]; return e, ok }

// Link adds all of a package, of this store or another one, sharing its files
// where the file system allows. Two packages may have the same path only if it
// is the same.
func (c *Composer) Link(ctx context.Context, p Package) error {
	for _, e := range p.Manifest {
		if err := ctx.Err(); err != nil {
			return err
		}
		if old, ok := c.entries[e.Path]; ok {
			if !old.same(e) {
				return c.explain(e.Path, errors.New("two packages have different things there"))
			}
			continue
		}
		err := c.place(e, filepath.Join(p.Dir, e.Path))
		if errors.Is(err, errWrong) {
			err = &CorruptError{"package", p.Digest, e.Path}
		}
		if err != nil {
			return c.explain(e.Path, err)
		}
	}
	return nil
}

func (c *Composer) place(e Entry, from string) error {
	to := filepath.Join(c.Root(), e.Path)
	var err error
	switch e.Kind {
	case Directory:
		err = makeDir(to)
	case Symlink:
		err = os.Symlink(e.Target, to)
	case File:
		err = c.placeFile(e, from, to)
	}
	if err == nil {
		c.entries[e.Path] = e
	}
	return err
}

// Mkdir adds a folder, and those that lead to it.
func (c *Composer) Mkdir(name string) error {
	if err := checkPath(name); err != nil {
		return c.explain(name, err)
	}
	switch e, ok := c.entries[name]; {
	case ok && e.Kind == Directory:
		return nil
	case ok:
		return c.explain(name, errors.New("is not a folder"))
	}
	if parent := path.Dir(name); parent != "." {
		if err := c.Mkdir(parent); err != nil {
			return err
		}
	}
	return c.explain(name, c.place(Entry{Path: name, Kind: Directory}, ""))
}

// Symlink adds a link, with the folders that lead to it.
func (c *Composer) Symlink(name, target string) error {
	if err := c.makeWay(name); err != nil {
		return err
	}
	return c.explain(name, c.place(Entry{Path: name, Kind: Symlink, Target: target}, ""))
}

// Write adds a file with that content, with the folders that lead to it.
func (c *Composer) Write(name string, content []byte, executable bool) error {
	if err := c.makeWay(name); err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	e := Entry{Path: name, Kind: File, Executable: executable, Sum: sum[:], Size: int64(len(content))}
	full := filepath.Join(c.Root(), name)
	err := os.WriteFile(full, content, e.mode())
	if err == nil {
		err = os.Chmod(full, e.mode())
	}
	c.entries[name] = e
	return c.explain(name, err)
}

func (c *Composer) makeWay(name string) error {
	if err := checkPath(name); err != nil {
		return c.explain(name, err)
	}
	if c.Has(name) {
		return c.explain(name, fs.ErrExist)
	}
	if parent := path.Dir(name); parent != "." {
		return c.Mkdir(parent)
	}
	return nil
}

// Adopt adds a file that a program has made in the tree.
func (c *Composer) Adopt(name string) error {
	if err := checkPath(name); err != nil {
		return c.explain(name, err)
	}
	e, err := inspect(c.Root(), name)
	if err == nil && e.Kind == File {
		err = os.Chmod(filepath.Join(c.Root(), name), e.mode())
	}
	c.entries[name] = e
	return c.explain(name, err)
}

// Commit makes the tree durable and gives it its name.
func (c *Composer) Commit() (Tree, error) {
	manifest := make(Manifest, 0, len(c.entries))
	for _, e := range c.entries {
		manifest = append(manifest, e)
	}
	sortManifest(manifest)
	data := manifest.encode()
	sum := sha256.Sum256(data)
	digest := hex.EncodeToString(sum[:])
	s, made := c.staging.store, filepath.Join(c.staging.dir, "tree")
	err := os.WriteFile(filepath.Join(made, manifestName), data, 0o644)
	if err == nil {
		err = syncAll(made)
	}
	if err == nil {
		err = c.staging.publish(made, treesDir, digest)
	}
	if err == nil {
		err = syncDir(filepath.Join(s.dir, treesDir))
	}
	if err != nil {
		return Tree{}, s.explain(fmt.Errorf("tree: %w", err))
	}
	return s.Tree(digest)
}

func (c *Composer) explain(name string, err error) error {
	if err == nil {
		return nil
	}
	return c.staging.store.explain(fmt.Errorf("tree: %.200s: %w", name, err))
}

// makeDir makes a folder that everyone may enter, whatever the umask, and
// those that lead to it.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

func copyFile(from, to string, mode fs.FileMode) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
	}()
	if _, err = io.Copy(out, in); err != nil {
		return err
	}
	return out.Chmod(mode)
}
