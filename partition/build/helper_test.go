package build_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/build"
	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/partition/store"
)

// The environment of a helper process; see TestMain.
const (
	helperDir   = "BUILD_TEST_DIR"   // Config.Dir
	helperStore = "BUILD_TEST_STORE" // the store's folder
)

// sources are those that the helper builds: few and small packages.
var sources = []release.Source{{Kind: release.SourceDebian, Packages: []string{"memcached"}}}

// TestMain turns the test into a process that builds, and that may be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		if err := help(dir, os.Getenv(helperStore)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// help builds, prints each step as it begins, and the tree at the end.
func help(dir, trees string) error {
	b, err := open(dir, trees)
	if err != nil {
		return err
	}
	last := build.StepName("")
	tree, err := b.Build(context.Background(), sources, func(p build.Progress) {
		if p.Step != last {
			fmt.Println(p.Step)
		}
		last = p.Step
	})
	fmt.Println(tree.Digest)
	return err
}

func open(dir, trees string) (*build.Builder, error) {
	s, err := store.Open(trees)
	if err != nil {
		return nil, err
	}
	return build.Open(build.Config{Store: s, Dir: dir, Clock: time.Now, Private: true})
}

// borrow makes a folder for builders with what the shared one has, but for
// some small packages, which have to be downloaded and unpacked again.
func borrow(t *testing.T, shared string, without ...build.Package) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"build/apt/state/lists", "build/packages/package"} {
		from, to := filepath.Join(shared, name), filepath.Join(dir, filepath.FromSlash(name[len("build/"):]))
		if err := clone(from, to); err != nil {
			t.Fatal(err)
		}
	}
	stamps, err := filepath.Glob(filepath.Join(shared, "build/apt/refreshed-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, stamp := range stamps {
		if err := os.WriteFile(filepath.Join(dir, "apt", filepath.Base(stamp)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range without {
		if err := os.RemoveAll(filepath.Join(dir, "packages/package", p.SHA256)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// clone copies a folder by hard links.
func clone(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		a, b := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if e.IsDir() {
			err = clone(a, b)
		} else {
			err = os.Link(a, b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
