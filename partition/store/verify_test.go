package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/slapmesh/slapmesh/partition/store"
)

// TestInspect does every kind of harm to a tree that is in use: all of it is
// told, the tree is not used until it is made again, and then it is as it was,
// in its place.
func TestInspect(t *testing.T) {
	harm := map[string]func(t *testing.T, dir string) error{
		"a flipped bit": func(t *testing.T, dir string) error {
			t.Helper()
			flip(t, filepath.Join(dir, "root/usr/share/a"))
			return nil
		},
		"one in a program": func(t *testing.T, dir string) error {
			t.Helper()
			flip(t, filepath.Join(dir, "root/usr/bin/b"))
			return nil
		},
		"a file is gone":   func(_ *testing.T, dir string) error { return os.Remove(filepath.Join(dir, "root/etc/made")) },
		"a folder is gone": func(_ *testing.T, dir string) error { return os.RemoveAll(filepath.Join(dir, "root/usr")) },
		"a folder for a file": func(_ *testing.T, dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "root/etc/made")), os.MkdirAll(filepath.Join(dir, "root/etc/made/x"), 0o755))
		},
		"a file for a folder": func(_ *testing.T, dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "root/var")), os.WriteFile(filepath.Join(dir, "root/var"), nil, 0o644))
		},
		"another link": func(_ *testing.T, dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "root/c")), os.Symlink("/etc", filepath.Join(dir, "root/c")))
		},
		"something more": func(_ *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, "root/etc/more"), []byte("x"), 0o644)
		},
		"another mode": func(_ *testing.T, dir string) error { return os.Chmod(filepath.Join(dir, "root/etc/made"), 0o755) },
		"the manifest": func(t *testing.T, dir string) error { t.Helper(); flip(t, filepath.Join(dir, "manifest")); return nil },
		"no manifest":  func(_ *testing.T, dir string) error { return os.Remove(filepath.Join(dir, "manifest")) },
	}
	for name, do := range harm {
		t.Run(name, func(t *testing.T) {
			s := open(t, memory(t))
			tree, err := composed(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.Inspect(t.Context(), tree.Digest); err != nil || len(got.Faults) > 0 || got.Files != 5 {
				t.Fatalf("as it was made: %+v (%v)", got, err)
			}
			sound := snapshot(t, tree.Path)
			if err := do(t, filepath.Dir(tree.Path)); err != nil {
				t.Fatal(err)
			}
			used, err := os.Open(tree.Path) // as a partition has it
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = used.Close() }()
			before, _ := used.Stat()
			got, err := s.Inspect(t.Context(), tree.Digest)
			if err != nil || len(got.Faults) == 0 {
				t.Fatalf("nothing was found (%v)", err)
			}
			if err := s.Condemn(tree.Digest, got.Faults); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Tree(tree.Digest); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a damaged tree is in use: %v", err)
			}
			again, err := twice(func() (store.Tree, error) { return composed(t.Context(), s) })
			if err != nil || again.Digest != tree.Digest {
				t.Fatalf("made again: %v (%v)", again, err)
			}
			if got, err := s.Inspect(t.Context(), tree.Digest); err != nil || len(got.Faults) > 0 {
				t.Errorf("after it was mended: %+v (%v)", got.Faults, err)
			}
			if got := snapshot(t, tree.Path); got != sound {
				t.Errorf("it is\n%s\nand was\n%s", got, sound)
			}
			if after, err := os.Stat(tree.Path); err != nil || !os.SameFile(before, after) {
				t.Errorf("who has it open does not see what was mended (%v)", err)
			}
		})
	}
}
