package build_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/build"
	"github.com/slapmesh/slapmesh/partition/build/buildtest"
	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/partition/store"
)

// TestBuild holds what a build promises, with the real archive. All parts
// share one folder of downloads with the other tests of this user.
func TestBuild(t *testing.T) {
	shared := buildtest.Open(t)
	want, err := shared.Build(t.Context(), sources, nil)
	if err != nil {
		t.Fatal(err)
	}
	var small []build.Package
	for _, p := range want.Packages {
		if slices.Contains([]string{"memcached", "libevent-2.1-7", "hostname"}, p.Name) {
			small = append(small, p)
		}
	}
	if len(small) != 3 {
		t.Fatalf("packages are %v", want.Packages)
	}
	from := buildtest.Dir(t)
	t.Run("tree", func(t *testing.T) { checkTree(t, from, want) })
	t.Run("same elsewhere", func(t *testing.T) { checkSame(t, borrow(t, from, small...), want) })
	t.Run("two processes", func(t *testing.T) { checkTwo(t, borrow(t, from, small...), want) })
	dir := borrow(t, from, small...) // one after the other: apt reads all lists anew in a new folder
	t.Run("cancelled", func(t *testing.T) { checkCancelled(t, dir, build.StepIndex, build.StepDownload) })
	t.Run("killed", func(t *testing.T) { checkKilled(t, dir, want) })
	t.Run("cancelled late", func(t *testing.T) { checkCancelled(t, dir, build.StepCompose) })
	t.Run("full disk", func(t *testing.T) { checkFull(t, dir, want) })
	t.Run("unknown package", func(t *testing.T) { checkUnknown(t, dir) })
}

func checkTree(t *testing.T, from string, tree build.Tree) {
	t.Helper()
	for _, name := range []string{
		"bin/sh", "bin/memcached", "usr/bin/awk", "lib64/ld-linux-x86-64.so.2", "proc", "dev", "tmp", "run", "data",
		"etc/passwd", "etc/hosts", "etc/resolv.conf", "etc/ld.so.cache", "usr/share/doc/memcached/copyright",
	} {
		if _, err := os.Stat(filepath.Join(tree.Path, name)); err != nil && !strings.HasPrefix(name, "lib64") {
			t.Error(err)
		}
	}
	for _, name := range []string{"usr/bin/perl", "usr/sbin/adduser", "usr/share/man/man1", "var/cache/ldconfig/aux-cache"} {
		if _, err := os.Lstat(filepath.Join(tree.Path, name)); err == nil {
			t.Errorf("has %s", name)
		}
	}
	trees, err := store.Open(filepath.Join(from, "store"))
	if err != nil {
		t.Fatal(err)
	}
	if err := trees.Verify(t.Context(), tree.Digest); err != nil {
		t.Error(err)
	}
}

// checkSame builds in other folders: the tree is the same, each step is told,
// and afterwards neither apt nor a network is needed.
func checkSame(t *testing.T, dir string, want build.Tree) {
	t.Helper()
	b, err := open(dir, filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := b.Built(sources); ok {
		t.Fatal("built before it is")
	}
	var steps []build.StepName
	got, err := b.Build(t.Context(), sources, func(p build.Progress) {
		if len(steps) == 0 || steps[len(steps)-1] != p.Step {
			steps = append(steps, p.Step)
		}
		if p.String() == "" || p.Bytes > p.Size || p.Total > 0 && p.Done > p.Total {
			t.Errorf("progress %+v", p)
		}
	})
	if err != nil || got.Digest != want.Digest || !slices.Equal(got.Packages, want.Packages) {
		t.Errorf("got %v (%v), want %v", got, err, want)
	}
	all := []build.StepName{build.StepIndex, build.StepResolve, build.StepDownload, build.StepUnpack, build.StepCompose, build.StepDone}
	if !slices.Equal(steps, all) {
		t.Errorf("steps %v", steps)
	}
	if debs, err := filepath.Glob(filepath.Join(dir, "apt/archives/*.deb")); err != nil || len(debs) > 0 {
		t.Errorf("downloads are left: %v", debs)
	}
	trees, err := store.Open(filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	offline, err := build.Open(build.Config{Store: trees, Dir: t.TempDir(), Etc: "/nonexistent", Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := offline.Build(t.Context(), sources, nil); err != nil || again.Digest != want.Digest {
		t.Errorf("without a network: %v %v", again, err)
	}
}

// helper starts a process that builds in dir.
func helper(t *testing.T, dir, trees string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), helperDir+"="+dir, helperStore+"="+trees)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// checkTwo builds the same in two processes with one folder of downloads.
func checkTwo(t *testing.T, dir string, want build.Tree) {
	t.Helper()
	one, oneOut := helper(t, dir, filepath.Join(dir, "store1"))
	two, twoOut := helper(t, dir, filepath.Join(dir, "store2"))
	for _, out := range []*bufio.Scanner{oneOut, twoOut} {
		last := ""
		for out.Scan() {
			last = out.Text()
		}
		if last != want.Digest {
			t.Errorf("built %s, want %s", last, want.Digest)
		}
	}
	if err := errors.Join(one.Wait(), two.Wait()); err != nil {
		t.Error(err)
	}
}

// checkKilled kills a build at the beginning of each step, one after the other;
// the last one finishes it.
func checkKilled(t *testing.T, dir string, want build.Tree) {
	t.Helper()
	trees := filepath.Join(dir, "store")
	for _, step := range []build.StepName{build.StepIndex, build.StepResolve, build.StepDownload, build.StepUnpack, build.StepCompose} {
		cmd, out := helper(t, dir, trees)
		reached := false
		for !reached && out.Scan() {
			reached = out.Text() == string(step)
		}
		if !reached {
			t.Errorf("it never came to %s", step)
		}
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		checkSwept(t, dir, trees, step)
	}
	b, err := open(dir, trees)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Build(t.Context(), sources, nil); err != nil || got.Digest != want.Digest {
		t.Errorf("then %v (%v)", got.Digest, err)
	}
}

// checkSwept holds that opening again removes what a kill left behind. A child
// that was just being started holds the dead one's locks until it runs its own
// program, so more than one opening may be needed.
func checkSwept(t *testing.T, dir, trees string, step build.StepName) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	left := ""
	for range 500 {
		b, err := open(dir, trees)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := b.Built(sources); ok {
			t.Errorf("killed in %s: it was built", step)
		}
		left = ""
		for _, name := range []string{"store/staging", "packages/staging"} {
			if entries, err := os.ReadDir(filepath.Join(dir, name)); err != nil || len(entries) != 1 {
				left += fmt.Sprintf(" %s: %v %v", name, entries, err)
			}
		}
		if left == "" {
			return
		}
		<-tick.C
	}
	t.Errorf("killed in %s: left in%s", step, left)
}

// checkFull composes onto a file system that is too small.
func checkFull(t *testing.T, dir string, want build.Tree) {
	t.Helper()
	trees := t.TempDir()
	if err := syscall.Mount("tmpfs", trees, "tmpfs", 0, "size=8m,mode=755"); err != nil {
		t.Skip("cannot mount a small file system:", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(trees, syscall.MNT_DETACH) })
	b, err := open(dir, trees)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Build(t.Context(), sources, nil)
	var full *store.FullError
	if !errors.As(err, &full) || full.Dir != trees {
		t.Errorf("got %v", err)
	}
	t.Log(err)
	if _, ok := b.Built(sources); ok {
		t.Error("half a tree is taken for built")
	}
	if err := syscall.Mount("", trees, "", syscall.MS_REMOUNT, "size=512m"); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Build(t.Context(), sources, nil); err != nil || got.Digest != want.Digest {
		t.Errorf("with room: %v %v", got.Digest, err)
	}
}

func checkUnknown(t *testing.T, dir string) {
	t.Helper()
	b, err := open(dir, filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Build(t.Context(), []release.Source{{Kind: release.SourceDebian, Packages: []string{"no-such-package", "bash"}}}, nil)
	if err == nil || !strings.Contains(err.Error(), "no package no-such-package in the Debian archive") {
		t.Errorf("got %v", err)
	}
}

// checkCancelled cancels a build at the beginning of each step.
func checkCancelled(t *testing.T, dir string, steps ...build.StepName) {
	t.Helper()
	for _, step := range steps {
		b, err := open(dir, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		_, err = b.Build(ctx, sources, func(p build.Progress) {
			if p.Step == step {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled in %s: %v", step, err)
		}
		cancel()
	}
}
