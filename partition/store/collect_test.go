package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/store"
)

// shared lists the content that a store keeps by its digest.
func shared(t *testing.T, s *store.Store) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(s.Dir(), "file", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestShared holds that equal content is on disk once, whatever it is called
// and wherever it came from.
func TestShared(t *testing.T) {
	s := open(t, t.TempDir())
	one := add(t, s, pack{file("a", "same"), file("only-one", "1")})
	two := add(t, s, pack{file("b/c", "same"), program("d", "same")})
	first, second := compose(t, s, one), compose(t, s, two)
	a, err1 := os.Stat(filepath.Join(first.Path, "a"))
	b, err2 := os.Stat(filepath.Join(second.Path, "b/c"))
	d, err3 := os.Stat(filepath.Join(second.Path, "d"))
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(a, b) || os.SameFile(a, d) || d.Mode() != 0o555 || a.Mode() != 0o444 {
		t.Errorf("same %v, a program is the same %v, modes %v %v", os.SameFile(a, b), os.SameFile(a, d), a.Mode(), d.Mode())
	}
}

// TestCorrupt holds that a flipped bit is found before it is in use: shared
// content is replaced, a package is named.
func TestCorrupt(t *testing.T) {
	s := open(t, t.TempDir())
	p := add(t, s, pack{file("a", "content of a"), file("b", "content of b")})
	flip(t, filepath.Join(p.Dir, "a"))
	c, err := s.Compose()
	if err != nil {
		t.Fatal(err)
	}
	err = c.Link(t.Context(), p)
	c.Close()
	if corrupt, ok := errors.AsType[*store.CorruptError](err); !ok || corrupt.Name != p.Digest || corrupt.Path != "a" {
		t.Fatalf("error %v", err)
	}
	if err := s.RemovePackage(p.Digest); err != nil || s.HasPackage(p.Digest) {
		t.Fatal(err)
	}
	p = add(t, s, pack{file("a", "content of a"), file("b", "content of b")})
	tree := compose(t, s, p)
	if err := s.RemoveTree(tree.Digest); err != nil {
		t.Fatal(err)
	}
	for _, name := range shared(t, s) {
		if err := os.Remove(name); err != nil { // so that the package keeps what it has
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("rotten"), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	tree = compose(t, s, p)
	if err := s.Verify(t.Context(), tree.Digest); err != nil {
		t.Error(err)
	}
	flip(t, shared(t, s)[0])
	if n, err := s.Repair(t.Context()); n != 1 || err != nil {
		t.Errorf("%d were repaired (%v), want 1", n, err)
	}
}

func TestCollect(t *testing.T) {
	s := open(t, t.TempDir())
	trees := make([]store.Tree, 4)
	packages := make([]store.Package, 4)
	for n := range trees {
		packages[n] = add(t, s, pack{file("a", fmt.Sprintf("content %d", n)), file("b", "same")})
		trees[n] = compose(t, s, packages[n])
		old := time.Now().Add(-time.Duration(10-n) * time.Hour)
		for _, dir := range []string{filepath.Join("tree", trees[n].Digest), filepath.Join("package", packages[n].Digest)} {
			if err := os.Chtimes(filepath.Join(s.Dir(), dir), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	// 0 is in use, 1 goes, 2 was used longest ago but is within the budget, 3 lately.
	keep := store.Keep{Trees: map[string]bool{trees[0].Digest: true}, Budget: 75, Since: time.Now().Add(-7*time.Hour - time.Minute)}
	got, err := s.Collect(t.Context(), keep)
	if err != nil {
		t.Fatal(err)
	}
	left, err := s.Trees()
	if err != nil || len(left)+got.Trees != 4 || got.Trees == 0 {
		t.Errorf("collected %+v, left %v (%v)", got, left, err)
	}
	for _, n := range []int{0, 3} {
		if err := s.Verify(t.Context(), trees[n].Digest); err != nil {
			t.Errorf("tree %d: %v", n, err)
		}
	}
	if _, err := s.Collect(t.Context(), store.Keep{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Collect(t.Context(), store.Keep{Since: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if left, err := s.Trees(); err != nil || len(left) > 0 {
		t.Errorf("left %v (%v)", left, err)
	}
	if left := shared(t, s); len(left) > 0 {
		t.Errorf("content is left: %v", left)
	}
}

// The environment of a helper process; see TestKilledAnywhere.
const victim = "STORE_TEST_VICTIM"

// live receives, composes, drops and collects, for ever.
func live(dir string) error {
	s, err := store.Open(dir)
	if err != nil {
		return err
	}
	ctx := context.Background()
	for n := 0; ; n++ {
		p := pack{file("a", fmt.Sprintf("content %d", n%3)), file("b", "same"), program("c", strings.Repeat("x", 1<<16+n%5))}
		a := archive(p.bytes())
		if err := s.Unpack(ctx, []store.Archive{a}, nil); err != nil {
			return err
		}
		unpacked, err := s.Package(a.Digest)
		if err != nil {
			return err
		}
		c, err := s.Compose()
		if err != nil {
			return err
		}
		if err := c.Link(ctx, unpacked); err != nil {
			return err
		}
		tree, err := c.Commit()
		c.Close()
		if err != nil {
			return err
		}
		data, manifest, err := s.EncodedManifest(tree.Digest)
		if err != nil {
			return err
		}
		if err := s.RemoveTree(tree.Digest); err != nil {
			return err
		}
		if _, err := s.Collect(ctx, store.Keep{Since: time.Now().Add(time.Hour)}); err != nil {
			return err
		}
		r, err := s.Receive(ctx, tree.Digest, data)
		if err != nil {
			return err
		}
		contents := map[string]string{"a": fmt.Sprintf("content %d", n%3), "b": "same", "c": strings.Repeat("x", 1<<16+n%5)}
		wants, err := r.Wants(ctx)
		if err != nil {
			return err
		}
		for _, w := range wants {
			in, err := r.Open(w)
			if err != nil {
				return err
			}
			content := contents[manifest[w.Index].Path]
			if _, err := in.Write([]byte(content[in.Have():])); err != nil {
				return err
			}
			if err := errors.Join(in.Finish(), in.Close()); err != nil {
				return err
			}
		}
		if _, err := r.Commit(ctx); err != nil {
			return err
		}
		r.Close()
	}
}

// TestKilledAnywhere kills a process that fetches, unpacks, composes and
// collects, again and again: every tree that has a name is whole, and the next
// process goes on.
func TestKilledAnywhere(t *testing.T) {
	dir := t.TempDir()
	rounds := 25
	if testing.Short() {
		rounds = 5
	}
	for round := range rounds {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), victim+"="+dir)
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(30+round*13)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("round %d: it ended by itself: %v: %s", round, err, said.String())
		}
		s := open(t, dir)
		trees, err := s.Trees()
		if err != nil {
			t.Fatal(err)
		}
		for _, tree := range trees {
			if err := s.Verify(t.Context(), tree); err != nil {
				t.Errorf("round %d: %v", round, err)
			}
		}
		if left := staged(t, s); len(left) > 0 {
			t.Errorf("round %d: left in staging: %v", round, left)
		}
	}
}
