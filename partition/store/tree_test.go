package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/slapmesh/slapmesh/partition/store"
)

// compose makes a tree of packages and one file more.
func compose(t *testing.T, s *store.Store, packages ...store.Package) store.Tree {
	t.Helper()
	c, err := s.Compose()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, p := range packages {
		if err := c.Link(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(c.Write("etc/hosts", []byte("localhost\n"), false), c.Symlink("bin", "usr/bin")); err != nil {
		t.Fatal(err)
	}
	tree, err := c.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestTree(t *testing.T) {
	s := open(t, t.TempDir())
	one := add(t, s, pack{dir("usr"), program("bin/one", "1"), file("etc/shared", "same")})
	two := add(t, s, pack{dir("usr"), program("bin/two", "2"), file("etc/shared", "same")})
	tree := compose(t, s, one, two)
	const want = "bin -> usr/bin\netc/\netc/hosts 10\netc/shared 4\nusr/\nusr/bin/\nusr/bin/one* 1\nusr/bin/two* 1\n"
	manifest, err := s.TreeManifest(tree.Digest)
	if got := describe(manifest); err != nil || got != want {
		t.Errorf("got\n%s (%v)\nwant\n%s", got, err, want)
	}
	if again := compose(t, s, two, one); again != tree {
		t.Errorf("in another order it is %v, not %v", again, tree)
	}
	a, err1 := os.Stat(filepath.Join(one.Dir, "usr/bin/one"))
	b, err2 := os.Stat(filepath.Join(tree.Path, "bin/one"))
	if err := errors.Join(err1, err2); err != nil || !os.SameFile(a, b) {
		t.Errorf("the tree has a copy: %v", err)
	}
	if info, err := os.Stat(tree.Path); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("root: %v %v", info.Mode(), err)
	}
	if err := s.Verify(t.Context(), tree.Digest); err != nil {
		t.Error(err)
	}
	if left := staged(t, s); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
	if err := s.RemoveTree(tree.Digest); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tree(tree.Digest); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed tree: %v", err)
	}
	if err := s.RemoveTree(tree.Digest); err != nil {
		t.Errorf("removed again: %v", err)
	}
}

// TestTreeElsewhere holds that packages of one store make trees of another.
func TestTreeElsewhere(t *testing.T) {
	shared, own := open(t, t.TempDir()), open(t, t.TempDir())
	p := add(t, shared, pack{program("bin/one", "1")})
	tree := compose(t, own, p)
	if err := own.Verify(t.Context(), tree.Digest); err != nil {
		t.Error(err)
	}
}

func TestTreeConflict(t *testing.T) {
	s := open(t, t.TempDir())
	one := add(t, s, pack{file("etc/x", "1")})
	two := add(t, s, pack{file("etc/x", "2")})
	c, err := s.Compose()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Link(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if err := c.Link(t.Context(), two); err == nil || !strings.Contains(err.Error(), "etc/x: two packages have different things there") {
		t.Errorf("got %v", err)
	}
	for _, name := range []string{"../x", "/x", "etc/x", "etc/x/y"} {
		if err := c.Write(name, nil, false); err == nil {
			t.Errorf("wrote %s", name)
		}
	}
	c.Close()
	if left := staged(t, s); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
}

func TestVerify(t *testing.T) {
	s := open(t, t.TempDir())
	p := add(t, s, pack{file("etc/x", "whole"), link("etc/y", "x")})
	tree := compose(t, s, p)
	flip(t, filepath.Join(tree.Path, "etc/x"))
	if corrupt, ok := errors.AsType[*store.CorruptError](s.Verify(t.Context(), tree.Digest)); !ok || corrupt.Path != "etc/x" || corrupt.Name != tree.Digest {
		t.Errorf("a flipped bit: %v", corrupt)
	}
	if err := os.Remove(filepath.Join(tree.Path, "etc/x")); err != nil {
		t.Fatal(err)
	}
	if corrupt, ok := errors.AsType[*store.CorruptError](s.Verify(t.Context(), tree.Digest)); !ok || corrupt.Path != "etc/x" {
		t.Errorf("a missing file: %v", corrupt)
	}
}

// TestAtOnce holds that many may make the same package and tree.
func TestAtOnce(t *testing.T) {
	dir := t.TempDir()
	a := archive(pack{program("bin/one", strings.Repeat("1", 1<<20))}.bytes())
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			s, err := store.Open(dir)
			if err == nil {
				err = s.Unpack(t.Context(), []store.Archive{a, a}, nil)
			}
			var p store.Package
			if err == nil {
				p, err = s.Package(a.Digest)
			}
			if err != nil {
				t.Error(err)
				return
			}
			compose(t, s, p)
		})
	}
	group.Wait()
	if left := staged(t, open(t, dir)); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
}
