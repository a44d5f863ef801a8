package partition

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/build"
	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/partition/sandbox"
	"github.com/slapmesh/slapmesh/partition/store"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// probe is the static program that stands for slapd and for all services.
var probe string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "probe")
	if err != nil {
		panic(err)
	}
	probe = filepath.Join(dir, "probe")
	compile := exec.CommandContext(context.Background(), "go", "build", "-o", probe, "./supervisor/testdata/probe")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := compile.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build probe: %v\n%s", err, out)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// profile is a release that needs nothing but the probe.
const profile = `
release(
    name = "probe", version = "1", title = "Probe", sources = [debian("probe")],
    parameters = {"text": string("What it says", default = "one")},
)

def instance(i):
    data = i.dir("data")
    text = i.file("text", content = i.params.text)
    i.once("install", ["probe", "append", data + "/installed", i.secret("password")])
    i.service("web", ["probe", "serve", i.ip + ":8080", text], ports = {"web": 8080})
    i.service("idle", ["probe", "sleep"])
    i.promise("answers", tcp = "web")
    i.publish(url = "http://%s/%s" % (i.address("web"), i.secret("password")))
`

// A fakeBuilder has one tree, made of the probe.
type fakeBuilder struct {
	store *store.Store
	tree  build.Tree
}

func (b *fakeBuilder) Built([]release.Source) (build.Tree, bool) { return b.tree, b.tree.Digest != "" }

func (b *fakeBuilder) Build(context.Context, []release.Source, func(build.Progress)) (build.Tree, error) {
	c, err := b.store.Compose()
	if err != nil {
		return build.Tree{}, err
	}
	defer c.Close()
	program, err := os.ReadFile(probe)
	if err != nil {
		return build.Tree{}, err
	}
	for _, d := range []string{"proc", "dev", "tmp", "run", "data", "etc", "usr", "usr/bin"} {
		err = errors.Join(err, c.Mkdir(d))
	}
	for _, f := range []string{"passwd", "group", "hosts", "nsswitch.conf", "resolv.conf"} {
		err = errors.Join(err, c.Write("etc/"+f, nil, false))
	}
	if err := errors.Join(err, c.Write("usr/bin/probe", program, true)); err != nil {
		return build.Tree{}, err
	}
	tree, err := c.Commit()
	b.tree = build.Tree{Digest: tree.Digest, Path: tree.Path}
	return b.tree, err
}

// A site is this computer, with a ledger in memory that knows one release.
type site struct {
	testing.TB
	node     *fakeNode
	computer *Computer
	release  ledger.ReleaseDigest
}

func newSite(tb testing.TB) *site {
	tb.Helper()
	dir := tb.TempDir()
	runDir, err := os.MkdirTemp("", "run") //nolint:usetesting // tb.TempDir is closed to others
	if err == nil {
		err = os.Chmod(runDir, 0o755)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(runDir) })
	walls, err := sandbox.Open(tb.Context(), sandbox.Config{Binary: probe, RunDir: runDir})
	if err != nil {
		tb.Fatal(err)
	}
	if grade, why := walls.Grade(); grade == sandbox.GradePlain {
		tb.Skipf("no walls on this computer: %s", why)
	}
	trees, err := store.Open(filepath.Join(dir, "store"))
	if err != nil {
		tb.Fatal(err)
	}
	bundle, err := release.NewBundle(map[string][]byte{release.Main: []byte(profile)})
	if err != nil {
		tb.Fatal(err)
	}
	s := &site{TB: tb, node: newFakeNode(), release: ledger.DigestOf(bundle.Encode())}
	s.node.profiles = map[ledger.ReleaseDigest][]byte{s.release: bundle.Encode()}
	s.computer = &Computer{
		Dir: dir, Walls: walls, Store: trees, Builder: &fakeBuilder{store: trees}, Log: slog.New(slog.DiscardHandler),
	}
	tb.Cleanup(func() {
		if err := s.computer.Clear(context.Background()); err != nil {
			tb.Error(err)
		}
		if places, err := s.computer.Look(context.Background()); len(places) > 0 || err != nil {
			tb.Errorf("after clearing: %v, %v", places, err)
		}
	})
	return s
}

// request asks for the instance in a state, with a text if it is not empty.
func (s *site) request(id ledger.InstanceID, state ledger.InstanceState, text string) {
	s.Helper()
	s.node.order(id, func(i *ledger.Instance) {
		i.Release, i.Requested, i.Reference, i.Partition = s.release, state, "web", int(id-1)
		i.Address = netip.AddrFrom4([4]byte{127, 64, 200, byte(id)})
		if text != "" {
			quoted, _ := json.Marshal(text)
			i.Parameters = map[string]json.RawMessage{"text": quoted}
		}
	})
}

// until waits until the ledger shows the instance in a state, and returns it.
func (s *site) until(id ledger.InstanceID, what string, good func(ledger.Instance, bool) bool) ledger.Instance {
	s.Helper()
	end := time.NewTimer(20 * time.Second)
	defer end.Stop()
	for {
		shown := s.node.shown()
		s.node.mu.Lock()
		i, ok := s.node.wanted[id]
		s.node.mu.Unlock()
		if good(i, ok) {
			return i
		}
		select {
		case <-shown:
		case <-end.C:
			s.node.mu.Lock()
			defer s.node.mu.Unlock()
			s.Fatalf("waiting for %s: %+v; told %q", what, i, s.node.told)
		}
	}
}

func (s *site) untilState(id ledger.InstanceID, state ledger.InstanceState) ledger.Instance {
	s.Helper()
	return s.until(id, string(state), func(i ledger.Instance, _ bool) bool { return i.State == state })
}

func (s *site) ask(i ledger.Instance) (pid, text string) {
	s.Helper()
	conn, err := s.computer.Dial(s.Context(), i, 8080, false)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	b, err := io.ReadAll(conn)
	if err != nil {
		s.Fatal(err)
	}
	pid, text, _ = strings.Cut(string(b), " ")
	return pid, text
}

func TestInstanceOnThisComputer(t *testing.T) {
	s := newSite(t)
	stop := s.node.runOn(t, s.computer)
	s.request(1, ledger.InstanceStarted, "")
	i := s.untilState(1, ledger.InstanceStarted)
	url := i.Connection["url"]
	if !i.Healthy || !strings.HasPrefix(url, "http://127.64.200.1:8080/") || len(url) < 40 {
		t.Errorf("started as %+v", i)
	}
	pid, text := s.ask(i)
	if text != "one" {
		t.Errorf("it says %q", text)
	}

	stop() // another agent finds it
	stop = s.node.runOn(t, s.computer)
	s.request(1, ledger.InstanceStarted, "two")
	i = s.until(1, "generation 2", func(i ledger.Instance, _ bool) bool {
		_, ok := i.Connection["url"]
		return ok && i.Generation == 2 && i.State == ledger.InstanceStarted && s.toldOf(2)
	})
	again, text := s.ask(i)
	if text != "two" || again == pid || i.Connection["url"] != url {
		t.Errorf("after the change it says %q, pid %s then %s, url %s then %s", text, pid, again, url, i.Connection["url"])
	}

	s.request(1, ledger.InstanceStopped, "")
	s.untilState(1, ledger.InstanceStopped)
	if _, err := s.computer.Exec(t.Context(), i, supervisor.Exec{Argv: []string{"probe", "who"}}); err == nil || !strings.Contains(err.Error(), "does not run") {
		t.Errorf("exec in a stopped instance: %v", err)
	}
	s.request(1, ledger.InstanceStarted, "")
	i = s.untilState(1, ledger.InstanceStarted)
	var out bytes.Buffer
	code, err := s.computer.Exec(t.Context(), i, supervisor.Exec{Argv: []string{"probe", "read", "/data/data/installed"}, Stdout: &out})
	if err != nil || code != 0 || !strings.HasSuffix(url, "/"+strings.TrimSpace(out.String())) {
		t.Errorf("installed: %q (%d, %v): want the password of %s, once", out.String(), code, err, url)
	}

	s.request(1, ledger.InstanceDestroyed, "")
	s.until(1, "gone", func(_ ledger.Instance, ok bool) bool { return !ok })
	if _, err := os.Lstat(s.computer.folder(0)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is left: %v", err)
	}
	stop()
}

// toldOf says whether a started instance of that generation was told last.
func (s *site) toldOf(generation uint64) bool {
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	return s.node.lastTold == generation
}

func TestBadParameterIsAnErrorAtOnce(t *testing.T) {
	s := newSite(t)
	defer s.node.runOn(t, s.computer)()
	s.node.order(1, func(i *ledger.Instance) {
		i.Release, i.Requested, i.Address = s.release, ledger.InstanceStarted, netip.MustParseAddr("127.64.200.1")
		i.Parameters = map[string]json.RawMessage{"txet": json.RawMessage(`"x"`)}
	})
	i := s.untilState(1, ledger.InstanceError)
	if !strings.Contains(i.Reason, "txet: unknown") {
		t.Errorf("reason %q", i.Reason)
	}
	s.request(1, ledger.InstanceStarted, "better")
	s.untilState(1, ledger.InstanceStarted)
}

func TestPartitionOfAnother(t *testing.T) {
	s := newSite(t)
	defer s.node.runOn(t, s.computer)()
	s.request(1, ledger.InstanceStarted, "")
	s.untilState(1, ledger.InstanceStarted)
	s.node.mu.Lock()
	delete(s.node.wanted, 1) // the ledger forgot it, and gives its partition away
	s.node.mu.Unlock()
	s.node.order(9, func(i *ledger.Instance) {
		i.Release, i.Requested, i.Address = s.release, ledger.InstanceStarted, netip.MustParseAddr("127.64.200.1")
	})
	i := s.untilState(9, ledger.InstanceStarted)
	var out bytes.Buffer
	if _, err := s.computer.Exec(t.Context(), i, supervisor.Exec{Argv: []string{"probe", "read", "/data/data/installed"}, Stdout: &out}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Errorf("%d installations in it: the data is not its own", n)
	}
	i.ID = 1
	if _, err := s.computer.Exec(t.Context(), i, supervisor.Exec{Argv: []string{"probe", "who"}}); !errors.Is(err, ErrNotHere) {
		t.Errorf("exec for who is not there: %v", err)
	}
}

func TestLogsFollow(t *testing.T) {
	s := newSite(t)
	defer s.node.runOn(t, s.computer)()
	s.request(1, ledger.InstanceStarted, "")
	i := s.untilState(1, ledger.InstanceStarted)
	log, err := s.computer.Logs(t.Context(), i, true)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	await := func(text string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				return
			}
		}
		t.Fatalf("the log ended before %q: %v", text, lines.Err())
	}
	await("web: serving on 127.64.200.1:8080")
	path := filepath.Join(sandbox.Run(s.computer.folder(0)), supervisor.LogName)
	if err := os.Rename(path, path+supervisor.OldSuffix); err != nil { // as if it had grown too large
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("after the rotation\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	await("after the rotation")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", path); err != nil { // a partition's trick
		t.Fatal(err)
	}
	trick, err := s.computer.Logs(t.Context(), i, false)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(trick); err == nil || bytes.Contains(b, []byte("root:")) {
		t.Errorf("a link was followed: %q, %v", b, err)
	}
	_ = trick.Close()
}

// BenchmarkRequestToStarted measures from the ledger's word to the ledger's
// knowledge that the instance is started, healthy and published; destroying
// is not counted.
func BenchmarkRequestToStarted(b *testing.B) {
	s := newSite(b)
	defer s.node.runOn(b, s.computer)()
	s.request(1, ledger.InstanceStarted, "") // builds
	s.untilState(1, ledger.InstanceStarted)
	b.ResetTimer()
	for b.Loop() {
		s.request(2, ledger.InstanceStarted, "")
		s.untilState(2, ledger.InstanceStarted)
		b.StopTimer()
		s.request(2, ledger.InstanceDestroyed, "")
		s.until(2, "gone", func(_ ledger.Instance, ok bool) bool { return !ok })
		b.StartTimer()
	}
}
