package sandbox_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/sandbox"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

func TestCrashedServiceComesBack(t *testing.T) {
	forEachGrade(t, func(b *bench) {
		r := b.launch()
		web := freeAddress(b.T)
		b.apply(r, supervisor.Spec{Services: []supervisor.Service{service("web", web)}})
		first := b.untilPhase(r, supervisor.PhaseStarted).Services[0]
		if _, code := b.exec(r, "signal", strconv.Itoa(first.PID), "9"); code != 0 {
			b.Fatal("cannot kill the service")
		}
		b.until(r, "noticed", func(s supervisor.Status) bool {
			return strings.Contains(s.Services[0].Reason, "killed by signal 9")
		})
		second := b.until(r, "again", func(s supervisor.Status) bool { return s.Healthy && s.Services[0].PID != first.PID })
		if second.Services[0].Starts != 2 {
			b.Errorf("started %d times", second.Services[0].Starts)
		}
		log := b.logs("killed by signal 9")
		if !strings.Contains(log, "slapd: service web: killed by signal 9") {
			b.Errorf("log:\n%s", log)
		}
	})
}

func TestPromiseFailsAndHeals(t *testing.T) {
	b := newBench(t, "")
	r := b.launch()
	b.apply(r, supervisor.Spec{
		Services: []supervisor.Service{{Name: "sleep", Argv: []string{"probe", "sleep"}}},
		Promises: []supervisor.Promise{{
			Name: "file", Check: supervisor.Check{Exec: []string{"probe", "read", "/data/proof"}}, Every: 50 * time.Millisecond,
		}},
	})
	b.until(r, "not started without the promise", func(s supervisor.Status) bool {
		return s.Phase == supervisor.PhaseStarting && strings.Contains(s.Reason, "promise file: exit status 1: open /data/proof: no such file")
	})
	b.exec(r, "append", "/data/proof", "x")
	b.until(r, "healthy", func(s supervisor.Status) bool { return s.Healthy })
	if err := os.Remove(filepath.Join(b.folder, "data", "proof")); err != nil {
		t.Fatal(err)
	}
	b.until(r, "not healthy", func(s supervisor.Status) bool { return !s.Healthy && s.Phase == supervisor.PhaseStarted })
	b.untilPhase(r, supervisor.PhaseError)
	b.exec(r, "append", "/data/proof", "x")
	b.until(r, "healed", func(s supervisor.Status) bool { return s.Healthy })
}

func TestStubbornServiceIsKilled(t *testing.T) {
	b := newBench(t, "")
	r := b.launch()
	b.apply(r, supervisor.Spec{Services: []supervisor.Service{{
		Name: "stubborn", Argv: []string{"probe", "stubborn"}, StopGrace: 100 * time.Millisecond,
	}}})
	b.untilPhase(r, supervisor.PhaseStarted)
	b.logs("stubborn: stubborn") // it ignores the signal from here on
	if err := r.Stop(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if log := b.logs("killed"); !strings.Contains(log, "service stubborn does not stop: killed") {
		t.Errorf("log:\n%s", log)
	}
}

func TestLogIsBounded(t *testing.T) {
	b := newBench(t, "")
	r := b.launch()
	b.apply(r, supervisor.Spec{Services: []supervisor.Service{{Name: "chatter", Argv: []string{"probe", "chatter", "100000"}}}})
	log := b.logs("99999\n")
	if !strings.HasSuffix(log, "99999\n") {
		t.Error("the newest lines are lost")
	}
	size := int64(0)
	for _, name := range []string{supervisor.LogName, supervisor.LogName + supervisor.OldSuffix} {
		info, err := os.Stat(filepath.Join(sandbox.Run(b.folder), name))
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > 8<<20 {
		t.Errorf("%d bytes of log", size)
	}
}

func TestDiskFullInAPartition(t *testing.T) {
	b := newBench(t, "")
	if err := os.MkdirAll(b.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", b.folder, "tmpfs", 0, "size=256k,mode=711"); err != nil {
		t.Skipf("cannot mount a small disk: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(b.folder, syscall.MNT_DETACH) })
	r := b.launch()
	spec := supervisor.Spec{Services: []supervisor.Service{{Name: "sleep", Argv: []string{"probe", "sleep"}}}}
	b.apply(r, spec)
	first := b.untilPhase(r, supervisor.PhaseStarted)
	spec.Files = []supervisor.File{{Path: "/data/big", Content: make([]byte, 1<<20)}}
	b.apply(r, spec)
	s := b.untilPhase(r, supervisor.PhaseError)
	if want := "write file /data/big: no space left on device"; s.Reason != want {
		t.Errorf("reason %q, want %q", s.Reason, want)
	}
	if s.Services[0].PID != first.Services[0].PID {
		t.Error("the service was disturbed")
	}
	spec.Files[0].Content = []byte("small")
	b.apply(r, spec)
	b.untilPhase(r, supervisor.PhaseStarted)
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestImpostorIsNotTheSupervisor(t *testing.T) {
	b := newBench(t, "")
	r := b.launch()
	b.apply(r, supervisor.Spec{Services: []supervisor.Service{{Name: "impostor", Argv: []string{"probe", "impostor", "/run/slapd/s"}}}})
	b.logs("permission denied") // it cannot even try
	if again, err := b.host.Find(t.Context(), b.folder); err != nil {
		t.Errorf("the supervisor is not found: %v", err)
	} else {
		_ = again.Close()
	}
	socket := filepath.Join(sandbox.Run(b.folder), supervisor.SocketName) // if it could:
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if _, err := b.host.Find(t.Context(), b.folder); err == nil || !strings.Contains(err.Error(), "not the partition's init") {
		t.Errorf("found %v", err)
	}
	if err := b.host.Destroy(t.Context(), b.folder); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(t.Context()); err != nil {
		t.Errorf("the supervisor outlives its folder: %v", err)
	}
}

func TestUsersAreNotShared(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root gives partitions users of their own")
	}
	b := newBench(t, "")
	other := newBench(t, "")
	other.cfg.RunDir = b.cfg.RunDir // another daemon of the same computer
	h, err := sandbox.Open(t.Context(), other.cfg)
	if err != nil {
		t.Fatal(err)
	}
	other.host = h
	uids := make(map[string]bool)
	var group sync.WaitGroup
	var mu sync.Mutex
	for _, c := range []*bench{b, other} {
		for n := range 4 {
			group.Go(func() {
				folder := filepath.Join(filepath.Dir(c.folder), fmt.Sprintf("p%d", n))
				r, err := c.host.Launch(t.Context(), sandbox.Partition{Folder: folder, Tree: c.tree})
				if err != nil {
					t.Error(err)
					return
				}
				uid, err := os.ReadFile(filepath.Join(sandbox.Private(folder), "uid"))
				mu.Lock()
				uids[string(uid)] = true
				mu.Unlock()
				if err := errors.Join(err, r.Close(), c.host.Destroy(t.Context(), folder)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
	// A uid may be taken again once its partition was destroyed, so fewer
	// are possible in theory; that all eight hash to few is not.
	if len(uids) < 4 {
		t.Errorf("uids: %v", uids)
	}
	claims, err := filepath.Glob(filepath.Join(b.cfg.RunDir, "uids", "[0-9]*"))
	if err != nil || len(claims) > 0 {
		t.Errorf("claims left: %v, %v", claims, err)
	}
}

// The users of partitions whose state folder was removed by hand are free
// again, but for those that somebody still runs as.
func TestUsersOfRemovedFolders(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root gives partitions users of their own")
	}
	b := newBench(t, "")
	const idle, busy = 0x70000000 + 4711, 0x70000000 + 4712
	claim := func(uid int) string { return filepath.Join(b.cfg.RunDir, "uids", strconv.Itoa(uid)) }
	if err := os.MkdirAll(filepath.Dir(claim(0)), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, uid := range []int{idle, busy} {
		if err := os.WriteFile(claim(uid), []byte(filepath.Join(t.TempDir(), "removed", "p0")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	straggler := exec.CommandContext(t.Context(), "sleep", "600")
	straggler.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: busy, Gid: busy}}
	if err := straggler.Start(); err != nil {
		t.Fatal(err)
	}
	launch := func(name string, wanted int) (got string) {
		folder := filepath.Join(filepath.Dir(b.folder), name)
		if err := b.host.Prepare(folder); err != nil {
			t.Fatal(err)
		}
		record := filepath.Join(sandbox.Private(folder), "uid")
		if err := os.WriteFile(record, []byte(strconv.Itoa(wanted)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := b.host.Launch(t.Context(), sandbox.Partition{Folder: folder, Tree: b.tree})
		if err != nil {
			t.Fatal(err)
		}
		uid, err := os.ReadFile(record)
		if err := errors.Join(err, r.Close(), b.host.Destroy(t.Context(), folder)); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(uid))
	}
	if got := launch("p1", busy); got == strconv.Itoa(busy) {
		t.Errorf("a partition shares user %s with a process that outlived its folder", got)
	}
	if _, err := os.Lstat(claim(idle)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the claim of a removed folder is still there: %v", err)
	}
	if _, err := os.Lstat(claim(busy)); err != nil {
		t.Errorf("the claim of a user that a process runs as: %v", err)
	}
	_ = straggler.Process.Kill()
	_ = straggler.Wait() // it was killed
	launch("p2", 0)
	if _, err := os.Lstat(claim(busy)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the claim is still there after the last process: %v", err)
	}
}

// BenchmarkLaunch measures from the order to launch to the first status, and
// what one idle partition costs.
func BenchmarkLaunch(b *testing.B) {
	c := newBenchmark(b)
	var pids []int
	b.ResetTimer()
	for n := 0; b.Loop(); n++ {
		folder := filepath.Join(filepath.Dir(c.folder), fmt.Sprintf("p%d", n))
		r, err := c.host.Launch(b.Context(), sandbox.Partition{Folder: folder, Tree: c.tree})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Status(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		pids = append(pids, r.PID)
		if len(pids) > 50 {
			b.Fatal("use -benchtime of at most 50x")
		}
		_ = r.Close()
		b.Cleanup(func() { _ = c.host.Destroy(b.Context(), folder) })
		b.StartTimer()
	}
	b.StopTimer()
	rss, pss := 0, 0
	for _, pid := range pids {
		rss += memory(pid, "Rss")
		pss += memory(pid, "Pss")
	}
	b.ReportMetric(float64(rss)/float64(len(pids)), "kB-rss/partition")
	b.ReportMetric(float64(pss)/float64(len(pids)), "kB-pss/partition")
	before := ticks(pids)
	idle := time.NewTimer(2 * time.Second)
	<-idle.C
	b.ReportMetric(float64(ticks(pids)-before)/2/float64(len(pids)), "%core/partition")
}

// memory reads a figure of a process, in kB.
func memory(pid int, name string) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name+":" {
			n, _ := strconv.Atoi(f[1])
			return n
		}
	}
	return 0
}

// ticks returns the processor time that processes have used, in hundredths of
// a second.
func ticks(pids []int) int {
	sum := 0
	for _, pid := range pids {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		_, rest, _ := strings.Cut(string(text), ") ")
		if f := strings.Fields(rest); len(f) > 12 {
			user, _ := strconv.Atoi(f[11])
			system, _ := strconv.Atoi(f[12])
			sum += user + system
		}
	}
	return sum
}
