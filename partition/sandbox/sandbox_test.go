package sandbox_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/sandbox"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

func TestLifeOfAPartition(t *testing.T) {
	forEachGrade(t, func(b *bench) {
		r := b.launch()
		web, db := freeAddress(b.T), freeAddress(b.T)
		root := b.host.Root(b.folder)
		spec := supervisor.Spec{
			Dirs:  []supervisor.Dir{{Path: root + "/db"}},
			Files: []supervisor.File{{Path: root + "/web.conf", Content: []byte("one")}},
			Steps: []supervisor.Step{
				{Name: "install", Argv: []string{"probe", "append", root + "/db/installed", "once"}},
				{Name: "accounts", Argv: []string{"probe", "append", root + "/db/accounts", "once"}, After: "db"},
			},
			Services: []supervisor.Service{service("web", web, root+"/web.conf"), service("db", db, root+"/db")},
			Promises: []supervisor.Promise{
				{Name: "answers", Check: supervisor.Check{TCP: web}},
				{Name: "installed", Check: supervisor.Check{Exec: []string{"probe", "read", root + "/db/installed"}}},
			},
		}
		b.apply(r, spec)
		first := b.untilPhase(r, supervisor.PhaseStarted)
		if !first.Healthy || first.Spec != spec.Hash() {
			b.Errorf("started, but %+v", first)
		}
		if said := b.ask(r, web); !strings.HasSuffix(said, " one") {
			b.Errorf("web says %q", said)
		}

		// Only what changed restarts.
		spec.Files = []supervisor.File{{Path: root + "/web.conf", Content: []byte("two")}}
		spec.Services = slices.Clone(spec.Services)
		spec.Services[0].Revision = "two"
		b.apply(r, spec)
		second := b.until(r, "new spec started", func(s supervisor.Status) bool {
			return s.Spec == spec.Hash() && s.Phase == supervisor.PhaseStarted
		})
		if said := b.ask(r, web); !strings.HasSuffix(said, " two") {
			b.Errorf("web says %q after the change", said)
		}
		if first.Services[0].PID == second.Services[0].PID {
			b.Error("web was not restarted")
		}
		if first.Services[1].PID != second.Services[1].PID {
			b.Error("db was restarted, but nothing of it changed")
		}

		// Stop leaves data and no process; the next launch goes on from there.
		if err := r.Stop(b.Context(), 0); err != nil {
			b.Fatal(err)
		}
		if err := r.Wait(b.Context()); err != nil {
			b.Fatal(err)
		}
		if _, err := b.host.Find(b.Context(), b.folder); !notRunning(err) {
			b.Errorf("after stop: found %v", err)
		}
		r = b.launch()
		b.apply(r, spec)
		b.untilPhase(r, supervisor.PhaseStarted)
		for _, file := range []string{"installed", "accounts"} {
			if said, _ := b.exec(r, "read", root+"/db/"+file); said != "once" {
				b.Errorf("step of %s left %q, want it run once", file, said)
			}
		}
		if err := b.host.Destroy(b.Context(), b.folder); err != nil {
			b.Fatal(err)
		}
		if _, err := os.Lstat(b.folder); !errors.Is(err, fs.ErrNotExist) {
			b.Errorf("after destroy the folder is there: %v", err)
		}
		if err := r.Wait(b.Context()); err != nil {
			b.Error(err)
		}
	})
}

func TestDestroyLeavesNothing(t *testing.T) {
	forEachGrade(t, func(b *bench) {
		r := b.launch()
		root := b.host.Root(b.folder)
		b.apply(r, supervisor.Spec{Services: []supervisor.Service{
			{Name: "stubborn", Argv: []string{"probe", "stubborn"}},
			{Name: "orphans", Argv: []string{"probe", "orphans", "3"}},
		}})
		b.untilPhase(r, supervisor.PhaseStarted)
		b.exec(r, "append", root+"/deep", "x")
		uid, _ := os.ReadFile(filepath.Join(sandbox.Private(b.folder), "uid"))
		mounts, _ := os.ReadFile("/proc/self/mountinfo")
		if err := b.host.Destroy(b.Context(), b.folder); err != nil {
			b.Fatal(err)
		}
		after, _ := os.ReadFile("/proc/self/mountinfo")
		if was, is := ourMounts(mounts), ourMounts(after); was != is {
			b.Errorf("mounts changed:\n%s\nwere:\n%s", is, was)
		}
		if strings.Contains(string(mounts), b.folder) {
			b.Error("the partition is mounted on the host")
		}
		left := func() (lines []string) {
			for _, line := range processes(b.T) {
				if strings.Contains(line, b.folder) || len(uid) > 0 && strings.Contains(line, "uid="+strings.TrimSpace(string(uid))+" ") {
					lines = append(lines, line)
				}
			}
			return lines
		}
		late := time.NewTimer(20 * time.Second)
		defer late.Stop()
		for tick := time.Tick(10 * time.Millisecond); len(left()) > 0; { // bubblewrap's own monitor ends when it has heard of it
			select {
			case <-tick:
			case <-late.C:
				b.Fatalf("left behind: %s", left())
			}
		}
		if len(uid) > 0 {
			if _, err := os.Lstat(filepath.Join(b.cfg.RunDir, "uids", strings.TrimSpace(string(uid)))); !errors.Is(err, fs.ErrNotExist) {
				b.Errorf("the claim of uid %s is left: %v", uid, err)
			}
		}
	})
}

// ourMounts leaves out of the mounts of this computer the network namespaces,
// which tests of other packages make and remove meanwhile.
func ourMounts(info []byte) string {
	var ours strings.Builder
	for line := range strings.Lines(string(info)) {
		if fields := strings.Fields(line); len(fields) < 5 || !strings.Contains(line, " - nsfs ") && fields[4] != "/run/netns" {
			ours.WriteString(line)
		}
	}
	return ours.String()
}

// processes describes every process of the computer.
func processes(t *testing.T) []string {
	t.Helper()
	var all []string
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		status, err := os.ReadFile(d + "/status")
		if err != nil || strings.Contains(string(status), "State:\tZ") {
			continue
		}
		cmd, _ := os.ReadFile(d + "/cmdline")
		environ, _ := os.ReadFile(d + "/environ")
		_, rest, _ := strings.Cut(string(status), "\nUid:\t")
		uid, _, _ := strings.Cut(rest, "\t")
		all = append(all, fmt.Sprintf("uid=%s %s %q %q", uid, d, cmd, environ))
	}
	return all
}

func TestDaemonKilled(t *testing.T) {
	forEachGrade(t, func(b *bench) {
		daemon := exec.CommandContext(b.Context(), "/proc/self/exe")
		daemon.Env = append(os.Environ(), "TEST_DAEMON_FOLDER="+b.folder, "TEST_TREE="+b.tree,
			"TEST_PROBE="+probe, "TEST_RUN_DIR="+b.cfg.RunDir, "TEST_GRADE="+string(b.cfg.Grade))
		out, err := daemon.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := daemon.Start(); err != nil {
			b.Fatal(err)
		}
		line, _ := bufio.NewReader(out).ReadString('\n')
		pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "launched ")))
		if err != nil {
			b.Fatalf("daemon says %q", line)
		}
		if err := daemon.Process.Kill(); err != nil {
			b.Fatal(err)
		}
		_ = daemon.Wait()

		r, err := b.host.Find(b.Context(), b.folder)
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		if r.PID != pid {
			b.Errorf("found supervisor %d, want %d", r.PID, pid)
		}
		b.untilPhase(r, supervisor.PhaseStarted)
	})
}

func TestDaemonsRace(t *testing.T) {
	b := newBench(t, "")
	var group sync.WaitGroup
	pids := make([]int, 8)
	for i := range pids {
		group.Go(func() {
			h, err := sandbox.Open(b.Context(), b.cfg)
			if err != nil {
				b.Error(err)
				return
			}
			r, err := h.Launch(b.Context(), sandbox.Partition{Folder: b.folder, Tree: b.tree})
			if err != nil {
				b.Error(err)
				return
			}
			pids[i] = r.PID
			_ = r.Close()
		})
	}
	group.Wait()
	for _, pid := range pids {
		if pid != pids[0] {
			t.Fatalf("supervisors %v, want one", pids)
		}
	}
}

func TestFolderRemoved(t *testing.T) {
	forEachGrade(t, func(b *bench) {
		r := b.launch()
		b.apply(r, supervisor.Spec{Services: []supervisor.Service{{Name: "sleep", Argv: []string{"probe", "sleep"}}}})
		b.untilPhase(r, supervisor.PhaseStarted)
		err := os.RemoveAll(b.folder)
		for n := 0; errors.Is(err, syscall.ENOTEMPTY) && n < 100; n++ { // the supervisor wrote meanwhile
			err = os.RemoveAll(b.folder)
		}
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Wait(b.Context()); err != nil {
			b.Fatal(err)
		}
	})
}

func TestWhatIsSeenInside(t *testing.T) {
	b := newBench(t, "")
	var leak [2]int // a descriptor that the daemon inherited
	if err := syscall.Pipe(leak[:]); err != nil {
		t.Fatal(err)
	}
	host, err := sandbox.Open(t.Context(), b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.host = host
	r := b.launch()
	said, _ := b.exec(r, "who")
	for _, want := range []string{"CapEff:\t0000000000000000", "NoNewPrivs:\t1", "HOME=/data", "pipes 3"} {
		if !strings.Contains(said, want) {
			t.Errorf("inside is not %q:\n%s", want, said)
		}
	}
	if grade, _ := b.host.Grade(); grade == sandbox.GradeIsolated && strings.Contains(said, "uid 0 ") {
		t.Errorf("inside is root:\n%s", said)
	}
	if said, code := b.exec(r, "ls", "/"); code != 0 || strings.Contains(said, "root") {
		t.Errorf("inside is seen:\n%s", said)
	}
	if said, code := b.exec(r, "append", "/usr/bin/probe", "x"); code == 0 {
		t.Errorf("the tree can be written: %s", said)
	}
	if said, _ := b.exec(r, "call", "/run/slapd/s"); !strings.Contains(said, "refused") {
		t.Errorf("a process inside may call the supervisor: %s", said)
	}
	if said, _ := b.exec(r, "signal", "1", "9"); said != "" {
		t.Logf("signal to init: %s", said)
	}
	if said, _ := b.exec(r, "signal", "1", "15"); said != "" {
		t.Logf("signal to init: %s", said)
	}
	if said, _ := b.exec(r, "read", "/etc/passwd"); !strings.Contains(said, "slapd:x:") {
		t.Errorf("passwd is %q", said)
	}
}

func TestStraySignal(t *testing.T) {
	forEachGrade(t, func(b *bench) {
		r := b.launch()
		for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGPIPE} {
			if err := syscall.Kill(r.PID, s); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := r.Status(b.Context()); err != nil {
			b.Fatal(err)
		}
	})
}

func TestZombiesAreReaped(t *testing.T) {
	b := newBench(t, "")
	r := b.launch()
	b.apply(r, supervisor.Spec{Services: []supervisor.Service{{Name: "orphans", Argv: []string{"probe", "orphans", "20"}}}})
	b.until(r, "reaped", func(supervisor.Status) bool { return true })
	log := b.logs("zombies left: 0")
	if !strings.Contains(log, "zombies left: 0") {
		t.Errorf("log:\n%s", log)
	}
}

// logs returns the partition's log once it holds text.
func (b *bench) logs(text string) string {
	b.Helper()
	var log []byte
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		log, _ = os.ReadFile(filepath.Join(sandbox.Run(b.folder), supervisor.LogName))
		if strings.Contains(string(log), text) {
			break
		}
	}
	return string(log)
}

func TestExecStreams(t *testing.T) {
	forEachGrade(t, func(b *bench) {
		r := b.launch()
		in, feed := io.Pipe()
		back, out := io.Pipe()
		done := make(chan error, 1)
		go func() {
			code, err := r.Exec(b.Context(), supervisor.Exec{Argv: []string{"probe", "cat"}, Stdin: in, Stdout: out})
			if code != 0 {
				err = fmt.Errorf("exit status %d", code)
			}
			done <- err
			_ = out.Close()
		}()
		answers := bufio.NewReader(back)
		for _, line := range []string{"one\n", "two\n"} { // each answered before the next is sent
			if _, err := io.WriteString(feed, line); err != nil {
				b.Fatal(err)
			}
			if got, err := answers.ReadString('\n'); err != nil || got != line {
				b.Fatalf("cat answers %q, %v", got, err)
			}
		}
		_ = feed.Close()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		if said, code := b.exec(r, "exit", "7"); code != 7 || said != "leaving" {
			b.Errorf("exit 7: %q, status %d", said, code)
		}
		if _, err := r.Exec(b.Context(), supervisor.Exec{Argv: []string{"no-such-program"}}); err == nil {
			b.Error("a program that does not exist ran")
		}
	})
}

func TestExecTerminal(t *testing.T) {
	forEachGrade(t, func(b *bench) {
		r := b.launch()
		for typed, want := range map[string]struct {
			code int
			last string
		}{
			"\x03": {130, "^C"}, // interrupt
			"\x04": {0, "ended"},
			"":     {0, "ended"}, // no more input
		} {
			in, keys := io.Pipe()
			back, out := io.Pipe()
			sizes := make(chan supervisor.Size)
			var code int
			var err error
			go func() {
				code, err = r.Exec(b.Context(), supervisor.Exec{
					Argv: []string{"probe", "terminal"}, Stdin: in, Stdout: out, Terminal: &supervisor.Size{Rows: 24, Columns: 80}, Sizes: sizes,
				})
				_ = out.Close()
			}()
			screen := bufio.NewReader(back)
			line := func(want string) {
				if got, err := screen.ReadString('\n'); strings.TrimSpace(got) != want {
					b.Fatalf("the screen shows %q, %v; want %q", got, err, want)
				}
			}
			line("24x80")
			sizes <- supervisor.Size{Rows: 30, Columns: 100}
			line("30x100")
			_, _ = io.WriteString(keys, typed)
			if typed == "" {
				_ = keys.Close()
			}
			rest, _ := io.ReadAll(screen)
			if !strings.Contains(string(rest), want.last) || code != want.code || err != nil {
				b.Errorf("after %q the screen shows %q, exit status %d, %v", typed, rest, code, err)
			}
			_ = keys.Close()
		}
	})
}

func TestGradeWithoutBubblewrap(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	h, err := sandbox.Open(t.Context(), sandbox.Config{Binary: probe, RunDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if grade, why := h.Grade(); grade != sandbox.GradePlain || !strings.Contains(why, "apt install bubblewrap") {
		t.Errorf("grade %s: %s", grade, why)
	}
}

func TestLaunchSaysWhatIsWrong(t *testing.T) {
	b := newBench(t, "")
	_, err := b.host.Launch(t.Context(), sandbox.Partition{Folder: b.folder, Tree: b.tree + "-none"})
	if err == nil || !strings.Contains(err.Error(), "tree-none: not there") {
		t.Errorf("missing tree: %v", err)
	}
	if err := os.Remove(filepath.Join(b.tree, "proc")); err != nil {
		t.Fatal(err)
	}
	_, err = b.host.Launch(t.Context(), sandbox.Partition{Folder: b.folder, Tree: b.tree})
	if err == nil || !strings.Contains(err.Error(), "/proc") {
		t.Errorf("tree without a place for /proc: %v", err)
	}
}
