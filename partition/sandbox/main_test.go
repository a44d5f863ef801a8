package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/limits"
	"github.com/slapmesh/slapmesh/partition/sandbox"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// probe is the static program that stands for slapd and for all services.
var probe string

func TestMain(m *testing.M) {
	if folder := os.Getenv("TEST_DAEMON_FOLDER"); folder != "" {
		os.Exit(beDaemon(folder))
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	probe = os.Getenv("TEST_PROBE")
	if probe == "" {
		dir, err := os.MkdirTemp("", "probe")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if err := os.Chmod(dir, 0o755); err != nil {
			panic(err)
		}
		probe = filepath.Join(dir, "probe")
		build := exec.CommandContext(context.Background(), "go", "build", "-o", probe, "../supervisor/testdata/probe")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build probe: %v\n%s", err, out)
			return 1
		}
	}
	return m.Run()
}

// beDaemon launches a partition as a daemon would, says so, and waits to be
// killed.
func beDaemon(folder string) int {
	ctx := context.Background()
	probe = os.Getenv("TEST_PROBE")
	h, err := sandbox.Open(ctx, sandbox.Config{Binary: probe, RunDir: os.Getenv("TEST_RUN_DIR"), Grade: sandbox.Grade(os.Getenv("TEST_GRADE"))})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	r, err := h.Launch(ctx, sandbox.Partition{Folder: folder, Tree: os.Getenv("TEST_TREE")})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if err := r.Apply(ctx, supervisor.Spec{Services: []supervisor.Service{{Name: "web", Argv: []string{"probe", "sleep"}}}}); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("launched", r.PID)
	select {}
}

// A computer has one release tree and a place for a partition.
type computer struct {
	host   *sandbox.Host
	cfg    sandbox.Config
	tree   string
	folder string
}

// A bench is a computer for one test.
type bench struct {
	*testing.T
	computer
}

func newBench(t *testing.T, grade sandbox.Grade) *bench {
	t.Helper()
	return &bench{t, newComputer(t, grade)}
}

func newBenchmark(b *testing.B) computer {
	b.Helper()
	return newComputer(b, "")
}

// newComputer makes a computer whose state folder other users cannot enter.
func newComputer(tb testing.TB, grade sandbox.Grade) computer {
	tb.Helper()
	state := tb.TempDir()
	runDir := openDir(tb)
	if grade != sandbox.GradePlain {
		if err := os.Chmod(state, 0o700); err != nil {
			tb.Fatal(err)
		}
	} else {
		for dir := state; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
			_ = os.Chmod(dir, 0o755) // all but the folder that everybody shares
		}
	}
	b := computer{tree: filepath.Join(state, "tree"), folder: filepath.Join(state, "partitions", "p0")}
	makeTree(tb, b.tree)
	b.cfg = sandbox.Config{Binary: probe, RunDir: runDir, Grade: grade}
	host, err := sandbox.Open(tb.Context(), b.cfg)
	if err != nil {
		tb.Fatal(err)
	}
	b.host = host
	if got, why := host.Grade(); grade == "" && got == sandbox.GradePlain {
		tb.Skipf("no walls on this computer: %s", why)
	}
	tb.Cleanup(func() {
		if err := host.Destroy(context.Background(), b.folder); err != nil {
			tb.Error(err)
		}
	})
	return b
}

// openDir returns a directory that every user can get to.
func openDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "open") //nolint:usetesting // tb.TempDir is closed to others
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// makeTree makes the smallest tree that a partition can have as its root.
func makeTree(tb testing.TB, tree string) {
	tb.Helper()
	for _, d := range []string{"proc", "dev", "tmp", "run", "data", "etc", "usr/bin"} {
		if err := os.MkdirAll(filepath.Join(tree, d), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	for _, f := range []string{"passwd", "group", "hosts", "nsswitch.conf", "resolv.conf"} {
		if err := os.WriteFile(filepath.Join(tree, "etc", f), nil, 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	b, err := os.ReadFile(probe)
	if err == nil {
		err = os.WriteFile(filepath.Join(tree, "usr/bin/probe"), b, 0o755)
	}
	if err == nil {
		err = os.Chmod(filepath.Join(tree, "usr/bin/probe"), 0o755)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func (b *bench) launch() *sandbox.Running {
	b.Helper()
	return b.launchWithin(limits.Limits{})
}

// launchWithin launches the partition, or changes its limits if it runs.
func (b *bench) launchWithin(l limits.Limits) *sandbox.Running {
	b.Helper()
	r, err := b.host.Launch(b.Context(), sandbox.Partition{Folder: b.folder, Tree: b.tree, Limits: l})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.Close() })
	return r
}

func (b *bench) apply(r *sandbox.Running, s supervisor.Spec) {
	b.Helper()
	if err := r.Apply(b.Context(), s); err != nil {
		b.Fatal(err)
	}
}

// until waits for a status that is as wanted.
func (b *bench) until(r *sandbox.Running, what string, wanted func(supervisor.Status) bool) supervisor.Status {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second)
	defer cancel()
	var last supervisor.Status
	err := r.Watch(ctx, func(s supervisor.Status) {
		if last = s; wanted(s) {
			cancel()
		}
	})
	if !wanted(last) {
		log, _ := os.ReadFile(filepath.Join(sandbox.Run(b.folder), supervisor.LogName))
		b.Fatalf("waiting until %s: %v; last status %+v; log:\n%s", what, err, last, log)
	}
	return last
}

func (b *bench) untilPhase(r *sandbox.Running, p supervisor.Phase) supervisor.Status {
	b.Helper()
	return b.until(r, string(p), func(s supervisor.Status) bool { return s.Phase == p })
}

// exec runs the probe inside and returns what it says.
func (b *bench) exec(r *sandbox.Running, args ...string) (string, int) {
	b.Helper()
	var out strings.Builder
	code, err := r.Exec(b.Context(), supervisor.Exec{Argv: append([]string{"probe"}, args...), Stdout: &out, Stderr: &out})
	if err != nil {
		b.Fatalf("exec %q: %v", args, err)
	}
	return strings.TrimSpace(out.String()), code
}

// ask reads what a probe that serves says.
func (b *bench) ask(r *sandbox.Running, address string) string {
	b.Helper()
	conn, err := r.Dial(b.Context(), netip.MustParseAddrPort(address), false)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	said, err := io.ReadAll(conn)
	if err != nil {
		b.Fatal(err)
	}
	return string(said)
}

// freeAddress returns an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// service is one that serves on the address.
func service(name, address string, args ...string) supervisor.Service {
	return supervisor.Service{
		Name: name, Argv: append([]string{"probe", "serve", address}, args...),
		Ready: []supervisor.Check{{TCP: address}},
	}
}

// forEachGrade runs a test with walls and without.
func forEachGrade(t *testing.T, test func(*bench)) {
	t.Helper()
	for _, grade := range []sandbox.Grade{"", sandbox.GradePlain} {
		name := string(grade)
		if name == "" {
			name = "strongest"
		}
		t.Run(name, func(t *testing.T) { test(newBench(t, grade)) })
	}
}

func notRunning(err error) bool { return errors.Is(err, supervisor.ErrNotRunning) }
