package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slapmesh/slapmesh/partition/store"
	"github.com/slapmesh/slapmesh/partition/store/faulttest"
)

// The environment of a process that harm is done to; see TestFaults.
const (
	patient = "STORE_TEST_PATIENT" // its store
	arrives = "STORE_TEST_ARRIVES" // the manifest of the tree that it is given
)

var (
	onePack = pack{file("usr/share/a", "content of a"), program("usr/bin/b", strings.Repeat("b", 1<<17)), dir("var"), link("c", "usr/bin/b")}
	twoPack = pack{file("usr/share/same", "content of a"), file("usr/share/d", "content of d"), dir("var")}
	given   = map[string]string{"x/a": "content of a", "x/e": strings.Repeat("e", 1<<16), "x/f": "content of f"}
)

// treat is all that is done with a store: it unpacks, composes, receives,
// drops and collects. What harm it finds on its way it makes good once, as
// builders and fetchers do.
func treat(dir, manifest string) error {
	if err := faulttest.Watch(); err != nil {
		return err
	}
	s, err := store.Open(dir)
	if err != nil {
		return err
	}
	if err = cure(s, manifest); err != nil {
		// On a full disk, what nobody needs can still be removed.
		keep := store.Keep{Trees: map[string]bool{}, Since: time.Now().Add(time.Hour)}
		if record, err := s.Record("composed"); err == nil {
			keep.Trees[string(record)] = true
		}
		if _, cerr := s.Collect(context.Background(), keep); cerr != nil {
			return fmt.Errorf("collect after %w: %w", err, cerr)
		}
	}
	return err
}

func cure(s *store.Store, manifest string) error {
	ctx := context.Background()
	tree, err := twice(func() (store.Tree, error) { return composed(ctx, s) })
	if err != nil {
		return err
	}
	if err := s.PutRecord("composed", []byte(tree.Digest)); err != nil {
		return err
	}
	data, err := os.ReadFile(manifest)
	if err != nil {
		return err
	}
	came, err := twice(func() (store.Tree, error) { return received(ctx, s, data) })
	if err != nil {
		return err
	}
	if err := s.PutRecord("received", []byte(came.Digest)); err != nil {
		return err
	}
	keep := store.Keep{Trees: map[string]bool{tree.Digest: true, came.Digest: true}, Since: time.Now().Add(time.Hour)}
	if _, err := s.Collect(ctx, keep); err != nil {
		return err
	}
	if err := s.RemoveTree(came.Digest); err != nil {
		return err
	}
	if _, err := twice(func() (store.Tree, error) { return received(ctx, s, data) }); err != nil {
		return err
	}
	_, err = s.Collect(ctx, keep)
	return err
}

// twice does something once more when something in the store has come to harm.
func twice(f func() (store.Tree, error)) (store.Tree, error) {
	tree, err := f()
	_, wrong := errors.AsType[*store.WrongError](err)
	_, corrupt := errors.AsType[*store.CorruptError](err)
	if wrong || corrupt {
		tree, err = f()
	}
	return tree, err
}

// composed makes a tree of two packages.
func composed(ctx context.Context, s *store.Store) (store.Tree, error) {
	one, two := archive(onePack.bytes()), archive(twoPack.bytes())
	if err := s.Unpack(ctx, []store.Archive{one, two}, nil); err != nil {
		return store.Tree{}, err
	}
	c, err := s.Compose()
	if err != nil {
		return store.Tree{}, err
	}
	defer c.Close()
	for _, a := range []store.Archive{one, two} {
		p, err := s.Package(a.Digest)
		if err == nil {
			err = c.Link(ctx, p)
		}
		if corrupt, ok := errors.AsType[*store.CorruptError](err); ok {
			return store.Tree{}, errors.Join(err, s.RemovePackage(corrupt.Name))
		}
		if err != nil {
			return store.Tree{}, err
		}
	}
	if err := errors.Join(c.Write("etc/made", []byte("made"), false), c.Symlink("etc/led", "made")); err != nil {
		return store.Tree{}, err
	}
	return c.Commit()
}

// received takes a tree as if it came from peers.
func received(ctx context.Context, s *store.Store, manifest []byte) (store.Tree, error) {
	r, err := s.Receive(ctx, digestOf(manifest), manifest)
	if err != nil {
		return store.Tree{}, err
	}
	defer r.Close()
	wants, err := r.Wants(ctx)
	if err != nil {
		return store.Tree{}, err
	}
	for _, w := range wants {
		in, err := r.Open(w)
		if err != nil {
			return store.Tree{}, err
		}
		content := given[w.Entry.Path]
		for err == nil && in.Have() < w.Entry.Size {
			end := min(in.Have()+1<<15, w.Entry.Size)
			_, err = in.Write([]byte(content[in.Have():end]))
		}
		if err == nil {
			err = in.Finish()
		}
		if err = errors.Join(err, in.Close()); err != nil {
			return store.Tree{}, err
		}
	}
	return r.Commit(ctx)
}

// snapshot is what a tree is, read without the store.
func snapshot(t *testing.T, root string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%s %v", strings.TrimPrefix(name, root), info.Mode())
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, " %s", digestOf(data))
		} else if target, err := os.Readlink(name); err == nil {
			fmt.Fprintf(&out, " -> %s", target)
		}
		fmt.Fprintln(&out)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A clinic knows what trees should be, and does harm to processes that make
// them.
type clinic struct {
	manifest string            // a file
	sound    map[string]string // snapshots, by digest
	seed     uint64
}

func openClinic(t *testing.T) *clinic {
	t.Helper()
	c := &clinic{manifest: filepath.Join(t.TempDir(), "manifest"), sound: map[string]string{}}
	s := open(t, t.TempDir())
	composer, err := s.Compose()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range given {
		if err := composer.Write(name, []byte(content), name == "x/e"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err = composer.Commit(); err != nil {
		t.Fatal(err)
	}
	composer.Close()
	trees, err := s.Trees()
	if err != nil {
		t.Fatal(err)
	}
	data, _, err := s.EncodedManifest(trees[0])
	if err == nil {
		err = os.WriteFile(c.manifest, data, 0o600)
	}
	if err == nil {
		err = cure(s, c.manifest)
	}
	if err != nil {
		t.Fatal(err)
	}
	if trees, err = s.Trees(); err != nil || len(trees) != 2 {
		t.Fatalf("trees %v (%v)", trees, err)
	}
	for _, digest := range trees {
		if err := s.Verify(t.Context(), digest); err != nil {
			t.Fatal(err)
		}
		c.sound[digest] = snapshot(t, filepath.Join(s.Dir(), "tree", digest, "root"))
	}
	return c
}

// run has a child do everything, of which each call is decided.
func (c *clinic) run(t *testing.T, dir string, decide func(faulttest.Call) faulttest.Action) (calls int, said string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), patient+"="+dir, arrives+"="+c.manifest, "GOMAXPROCS=1")
	var out bytes.Buffer
	cmd.Stderr = &out
	err = faulttest.Run(cmd, dir, func(call faulttest.Call) faulttest.Action {
		calls = call.N
		return decide(call)
	})
	return calls, strings.TrimSpace(out.String()), err
}

// check holds that nothing but whole trees have names, that nothing else is
// left, and that the next process does what this one could not.
func (c *clinic) check(t *testing.T, dir string) {
	t.Helper()
	s := open(t, dir)
	if left := staged(t, s); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
	c.checkTrees(t, s)
	if record, err := s.Record("composed"); err == nil {
		if _, err := s.Tree(string(record)); err != nil {
			t.Errorf("what is recorded is not there: %v", err)
		}
	}
	if err := cure(s, c.manifest); err != nil {
		t.Errorf("the next process: %v", err)
	}
	c.checkTrees(t, s)
	trees, err := s.Trees()
	if slices.Sort(trees); err != nil || len(trees) != len(c.sound) {
		t.Errorf("trees %v (%v)", trees, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "partial", "*")); len(left) > 0 {
		t.Errorf("left of what came: %v", left)
	}
}

func (c *clinic) checkTrees(t *testing.T, s *store.Store) {
	t.Helper()
	trees, err := s.Trees()
	if err != nil {
		t.Fatal(err)
	}
	for _, digest := range trees {
		if _, err := s.Tree(digest); err != nil {
			continue // it is known to be damaged
		}
		if got := snapshot(t, filepath.Join(s.Dir(), "tree", digest, "root")); got != c.sound[digest] {
			t.Errorf("tree %.12s is\n%s\nand should be\n%s", digest, got, c.sound[digest])
		}
	}
}

// flipOne flips a bit of a file that no tree, made or being made, has. It tells
// which.
func flipOne(dir string, random *rand.Rand) (string, error) {
	inTree := map[uint64]bool{}
	var files []string
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		below, _ := filepath.Rel(dir, name)
		parts := strings.Split(below, "/")
		inode := info.Sys().(*syscall.Stat_t).Ino
		switch {
		case parts[0] == "tree", parts[0] == "staging" && len(parts) > 2 && parts[2] == "tree":
			inTree[inode] = true
		case len(parts) == 1, parts[0] == "record", strings.HasPrefix(below, "staging/file-"), info.Size() == 0: // read by people, or by who checks it
		default:
			files = append(files, name)
		}
		return nil
	})
	files = slices.DeleteFunc(files, func(name string) bool {
		info, err := os.Lstat(name)
		return err != nil || inTree[info.Sys().(*syscall.Stat_t).Ino]
	})
	if err != nil || len(files) == 0 {
		return "", err
	}
	name := files[random.IntN(len(files))]
	data, err := os.ReadFile(name)
	if err == nil {
		data[random.IntN(len(data))] ^= 1 << random.IntN(8)
		err = errors.Join(os.Chmod(name, 0o644), os.WriteFile(name, data, 0)) // in place
	}
	return name, errors.Join(err, os.Chmod(name, modeBefore(name)))
}

// modeBefore is the mode of a file of the store, which its name tells where the
// mode counts.
func modeBefore(name string) fs.FileMode {
	if strings.HasSuffix(name, "x") || strings.HasSuffix(name, "/b") {
		return 0o555
	}
	return 0o444
}

// TestFaults does harm at every single call that changes files, of a process
// that unpacks, composes, receives and collects. FAULTS=all takes each of them,
// otherwise some that the seed chooses, which SEED=n gives.
func TestFaults(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("skipped: the calls of " + runtime.GOARCH + " were never looked at")
	}
	c := openClinic(t)
	calls, said, err := c.run(t, memory(t), func(faulttest.Call) faulttest.Action { return faulttest.Action{} })
	if errors.Is(err, errors.ErrUnsupported) || strings.Contains(said, "seccomp: ") {
		t.Skip("skipped: this system does not let a process watch another's calls: " + said)
	}
	if err != nil {
		t.Fatalf("without harm: %v: %s", err, said)
	}
	c.seed = uint64(time.Now().UnixNano())
	if text := os.Getenv("SEED"); text != "" {
		if c.seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	step := 5
	if os.Getenv("FAULTS") == "all" {
		step = 1
	} else if testing.Short() {
		step = 40
	}
	t.Logf("%d calls, one of %d, seed %d", calls, step, c.seed)
	offset := int(c.seed % uint64(step))
	for name, harm := range harms {
		t.Run(name, func(t *testing.T) {
			for n := 1 + offset; n <= calls; n += step {
				dir := memory(t)
				random := rand.New(rand.NewPCG(c.seed, uint64(n)))
				var at string
				_, said, err := c.run(t, dir, func(call faulttest.Call) faulttest.Action {
					if call.N == n {
						at = call.Name + " " + call.Path
					}
					return harm.decide(t, dir, random, call, n)
				})
				if harm.check != nil {
					harm.check(t, said, err)
				}
				c.check(t, dir)
				if t.Failed() {
					t.Fatalf("harm was done at call %d (%s), seed %d; it ended with %v: %s", n, at, c.seed, err, said)
				}
				_ = os.RemoveAll(dir)
			}
		})
	}
}

// memory returns a folder on a file system in memory, if there is one: thousands
// of syncs there take no time.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "slapmesh-store-") //nolint:usetesting // elsewhere it takes minutes
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// harms are the ways in which something goes wrong at the n-th call.
var harms = map[string]struct {
	decide func(t *testing.T, dir string, random *rand.Rand, c faulttest.Call, n int) faulttest.Action
	check  func(t *testing.T, said string, err error) // how the process ended
}{
	"killed": {
		func(_ *testing.T, _ string, _ *rand.Rand, c faulttest.Call, n int) faulttest.Action {
			return faulttest.Action{Kill: c.N == n}
		},
		func(t *testing.T, _ string, err error) {
			t.Helper()
			if err != nil {
				t.Error("it was not killed")
			}
		},
	},
	"the disk is full from then on": {
		func(_ *testing.T, _ string, _ *rand.Rand, c faulttest.Call, n int) faulttest.Action {
			if c.N >= n && c.Allocates {
				return faulttest.Action{Fail: unix.ENOSPC}
			}
			return faulttest.Action{}
		},
		func(t *testing.T, said string, err error) {
			t.Helper()
			if err != nil && (!strings.Contains(said, "no space left") || strings.Contains(said, "collect after")) {
				t.Error("it does not say what is the matter, or cannot even make room")
			}
		},
	},
	"the disk is full once": {
		func(_ *testing.T, _ string, _ *rand.Rand, c faulttest.Call, n int) faulttest.Action {
			if c.N == n {
				return faulttest.Action{Fail: unix.ENOSPC}
			}
			return faulttest.Action{}
		}, nil,
	},
	"the disk fails once": {
		func(_ *testing.T, _ string, _ *rand.Rand, c faulttest.Call, n int) faulttest.Action {
			if c.N == n {
				return faulttest.Action{Fail: unix.EIO}
			}
			return faulttest.Action{}
		}, nil,
	},
	"a bit flips": {
		func(t *testing.T, dir string, random *rand.Rand, c faulttest.Call, n int) faulttest.Action {
			t.Helper()
			if c.N == n {
				if name, err := flipOne(dir, random); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatalf("flip a bit of %s: %v", name, err)
				}
			}
			return faulttest.Action{}
		},
		func(t *testing.T, _ string, err error) {
			t.Helper()
			if err != nil {
				t.Error("it was not made good")
			}
		},
	},
}
