//go:build linux

package limits

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if verb := os.Getenv("TEST_BE"); verb != "" {
		be(verb)
	}
	os.Exit(m.Run())
}

// be is what this program does as a process of a group.
func be(verb string) {
	switch verb {
	case "hog": // take memory until there is none
		var all [][]byte
		for {
			all = append(all, make([]byte, 1<<20))
			for i := 0; i < 1<<20; i += 4096 {
				all[len(all)-1][i] = 1
			}
		}
	case "bomb": // start copies for ever, each of which does the same
		for {
			attr := &syscall.ProcAttr{Env: os.Environ()}
			_, _ = syscall.ForkExec("/proc/self/exe", []string{"bomb"}, attr)
		}
	case "spin": // use the processor until stdin ends, then say how much it was
		go func() {
			for {
				_ = strconv.Itoa(1)
			}
		}()
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
}

// realTree returns where groups of a version can be made here, or skips.
func realTree(t *testing.T, version int, needs ...string) *Tree {
	t.Helper()
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skipf("no control groups: %v", err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	found, err := places(groups, mounts)
	if err != nil {
		t.Fatal(err)
	}
	tree := &Tree{version: version, base: make(map[string]string)}
	for _, p := range found {
		if p.version != version || writable(p.own) != nil {
			continue
		}
		names := p.controllers
		if version == 2 {
			names = []string{"freezer"} // which has no controller: every group can freeze and kill
			for _, c := range controllers {
				if has(p.own, c) && enable(p.own) == nil {
					names = append(names, c)
				}
			}
		}
		for _, c := range names {
			tree.base[c] = p.own
		}
	}
	for _, c := range needs {
		if tree.base[c] == "" {
			t.Skipf("no control groups of version %d for %s that we may make here", version, c)
		}
	}
	return tree
}

// makeGroup makes a group that ends with the test.
func makeGroup(t *testing.T, tree *Tree, l Limits) *Group {
	t.Helper()
	g := tree.Group(filepath.Join(t.TempDir(), "p0"))
	if err := g.Make(l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Kill(); err != nil {
			t.Error(err)
		}
		removeGroup(t, g)
		if g.Exists() {
			t.Error("the group is still there")
		}
	})
	return g
}

// removeGroup removes a group once what was killed in it has died.
func removeGroup(t *testing.T, g *Group) {
	t.Helper()
	until(t, "the group is empty", func() bool {
		err := g.Remove()
		if err != nil && !errors.Is(err, unix.EBUSY) {
			t.Fatal(err)
		}
		return err == nil
	})
}

// until asks again and again, for at most a minute, in cleanups too.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	for !f() {
		if ctx.Err() != nil {
			t.Fatalf("not within a minute: %s", what)
		}
		runtime.Gosched()
	}
}

// startIn starts this program in a group, to be something. Groups of version 1
// may hold it too.
func startIn(t *testing.T, g *Group, verb string, also ...*Group) (*exec.Cmd, io.Closer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = []string{"TEST_BE=" + verb, "GOMAXPROCS=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	err = OnThread(func() error {
		for _, v1 := range also {
			if err := v1.join(); err != nil {
				return err
			}
		}
		return g.Start(cmd)
	})
	if err != nil {
		t.Fatal(err)
	}
	return cmd, in
}

func TestMemory(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(strconv.Itoa(version), func(t *testing.T) {
			g := makeGroup(t, realTree(t, version, "memory"), Limits{Memory: 64 << 20})
			if got := g.Memory(); got != 64<<20 {
				t.Errorf("the limit is %d", got)
			}
			if n := g.OutOfMemory(); n != 0 {
				t.Errorf("out of memory %d times before anything ran", n)
			}
			hog, _ := startIn(t, g, "hog")
			err := hog.Wait()
			if status := hog.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
				t.Errorf("the hog ended with %v", err)
			}
			if n := g.OutOfMemory(); n == 0 {
				t.Error("nobody says that memory was the reason")
			}
			for _, l := range []int64{128 << 20, 32 << 20, 0} { // up, down, and away
				if err := g.Make(Limits{Memory: l}); err != nil || g.Memory() != l {
					t.Errorf("limit changed to %d: is %d, %v", l, g.Memory(), err)
				}
			}
		})
	}
}

// A fork bomb gets no further than its limit, and ends however fast it forks.
func TestBomb(t *testing.T) {
	const most = 50
	for name, version := range map[string]int{"1": 1, "2": 2} {
		t.Run(name, func(t *testing.T) {
			needs := "pids"
			if version == 2 {
				needs = "freezer" // kill is what is tested; a bound comes where it can
			}
			tree := realTree(t, version, needs)
			g := makeGroup(t, tree, Limits{Processes: most})
			var bound []*Group
			if tree.base["pids"] == "" {
				bound = append(bound, makeGroup(t, realTree(t, 1, "pids"), Limits{Processes: most}))
			}
			bomb, _ := startIn(t, g, "bomb", bound...)
			if tree.base["pids"] != "" {
				until(t, "the bomb has hit its limit", func() bool {
					return strings.HasPrefix(g.count(t, "pids.events"), "max ") && g.count(t, "pids.events") != "max 0"
				})
				if n, _ := strconv.Atoi(g.count(t, "pids.current")); n > most {
					t.Errorf("%d processes, at most %d are allowed", n, most)
				}
			} else {
				until(t, "the bomb has spread", func() bool { return g.size() > 5 })
			}
			if err := g.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = bomb.Wait()
			until(t, "all have ended", func() bool { return g.size() == 0 })
		})
	}
}

// Without cgroup.kill a group is frozen and swept.
func TestKillFrozen(t *testing.T) {
	g := makeGroup(t, realTree(t, 2, "freezer"), Limits{})
	bound := makeGroup(t, realTree(t, 1, "pids"), Limits{Processes: 50})
	bomb, _ := startIn(t, g, "bomb", bound)
	until(t, "the bomb has spread", func() bool { return g.size() > 5 })
	if err := killFrozen(g.dirs[0]); err != nil {
		t.Fatal(err)
	}
	_ = bomb.Wait()
	until(t, "all have ended", func() bool { return g.size() == 0 })
}

func TestCores(t *testing.T) {
	if testing.Short() {
		t.Skip("uses processor time")
	}
	for _, version := range []int{1, 2} {
		t.Run(strconv.Itoa(version), func(t *testing.T) {
			g := makeGroup(t, realTree(t, version, "cpu"), Limits{Cores: 200})
			spin, in := startIn(t, g, "spin")
			until(t, "it was held back ten times", func() bool {
				n, _ := strconv.Atoi(strings.TrimPrefix(keyed(g.count(t, "cpu.stat"), "nr_throttled"), "nr_throttled "))
				return n >= 10
			})
			_ = in.Close()
			_ = spin.Wait()
			used := spin.ProcessState.UserTime() + spin.ProcessState.SystemTime()
			if used < 100*time.Millisecond || used > 5*time.Second {
				t.Errorf("it used %v and was held back in ten periods of 100 ms, with a fifth of a core", used)
			}
		})
	}
}

// A group is found again by the folder, and what bounds it is as it was.
func TestFoundAgain(t *testing.T) {
	tree := realTree(t, 1, "memory")
	folder := filepath.Join(t.TempDir(), "p0")
	if tree.Group(folder).Exists() {
		t.Error("a group exists that nobody made")
	}
	if err := tree.Group(folder).Make(Limits{Memory: 64 << 20}); err != nil {
		t.Fatal(err)
	}
	g := tree.Group(folder)
	if !g.Exists() || g.Memory() != 64<<20 {
		t.Errorf("found again: exists %t, memory %d", g.Exists(), g.Memory())
	}
	removeGroup(t, g)
	if err := g.Remove(); err != nil {
		t.Errorf("remove what is not there: %v", err)
	}
}

// Groups of one state folder come and go at once, and never trip over the
// group that holds them.
func TestManyAtOnce(t *testing.T) {
	tree := realTree(t, 1, "memory")
	tree.sum = Limits{Memory: 1 << 40}
	folder := t.TempDir()
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for range 30 {
				g := tree.Group(filepath.Join(folder, "p"+strconv.Itoa(n)))
				if err := g.Make(Limits{Memory: 1 << 30}); err != nil {
					t.Error(err)
				}
				if err := g.Remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// Without control groups everything is started, and bounded by nothing.
func TestNone(t *testing.T) {
	tree := (&Tree{}).choose(nil)
	if lacks, why := tree.Lacks(); len(lacks) != 3 || why == "" {
		t.Errorf("lacks %v because %q", lacks, why)
	}
	g := tree.Group("/nowhere/p0")
	if err := g.Make(Limits{Memory: 1}); err != nil {
		t.Error(err)
	}
	cmd, in := startIn(t, g, "spin")
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if g.Exists() || g.Kill() != nil || g.Remove() != nil || g.OutOfMemory() != 0 {
		t.Error("a group that is nowhere does something")
	}
}

// size returns how many processes the group has.
func (g *Group) size() int {
	b, err := os.ReadFile(filepath.Join(g.dirs[0], "cgroup.procs"))
	if err != nil {
		return 0
	}
	return len(strings.Fields(string(b)))
}

// count reads a file of the group, whichever of its folders has it.
func (g *Group) count(t *testing.T, file string) string {
	t.Helper()
	for _, dir := range g.Folders() {
		if b, err := os.ReadFile(filepath.Join(dir, file)); err == nil {
			return strings.TrimSpace(string(b))
		}
	}
	t.Fatalf("no %s", file)
	return ""
}

func keyed(all, key string) string {
	for line := range strings.Lines(all) {
		if strings.HasPrefix(line, key+" ") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
