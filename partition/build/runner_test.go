package build_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slapmesh/slapmesh/partition/build"
	"github.com/slapmesh/slapmesh/partition/release"
)

// A runner is the least that can do what a Desired says, in bubblewrap, so
// that profiles are tried on real servers.
type runner struct {
	t       *testing.T
	tree    string
	data    string
	passwd  string
	address netip.Addr
	done    map[string]string // the revision of each step that was done last
	running map[string]*exec.Cmd
	logs    map[string]*os.File
}

func newRunner(t *testing.T, tree build.Tree, address string) *runner {
	t.Helper()
	if _, err := exec.LookPath("bwrap"); err != nil {
		t.Skip("bubblewrap is not installed")
	}
	dir := t.TempDir()
	r := &runner{
		t, tree.Path, filepath.Join(dir, "data"), filepath.Join(dir, "passwd"), netip.MustParseAddr(address),
		map[string]string{},
		map[string]*exec.Cmd{},
		map[string]*os.File{},
	}
	if err := os.Mkdir(r.data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.passwd, []byte("instance:x:1000:1000::/data:/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for name, cmd := range r.running {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			_ = cmd.Wait()
			delete(r.running, name)
		}
	})
	return r
}

// command returns a command of the instance.
func (r *runner) command(ctx context.Context, argv []string, env map[string]string) *exec.Cmd {
	args := []string{
		"--unshare-user", "--unshare-ipc", "--unshare-uts", "--uid", "1000", "--gid", "1000", "--die-with-parent", "--clearenv",
		"--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "--setenv", "HOME", "/data", "--setenv", "LANG", "C.UTF-8",
		"--ro-bind", r.tree, "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run", "--tmpfs", "/dev/shm",
		"--bind", r.data, "/data", "--ro-bind", r.passwd, "/etc/passwd", "--chdir", "/data",
	}
	for key, value := range env {
		args = append(args, "--setenv", key, value)
	}
	args = append(append(args, "--"), argv...)
	cmd := exec.CommandContext(ctx, "bwrap", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// run runs a command of the instance to its end.
func (r *runner) run(ctx context.Context, what string, argv []string, env map[string]string, input []byte) error {
	cmd := r.command(ctx, argv, env)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", what, err, out)
	}
	return nil
}

// start does all that d says, and returns when every promise holds.
func (r *runner) start(d release.Desired) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	for _, dir := range d.Dirs {
		r.must(os.MkdirAll(filepath.Join(r.data, dir.Path), os.FileMode(dir.Mode)))
	}
	for _, f := range d.Files {
		r.must(os.WriteFile(filepath.Join(r.data, f.Path), f.Content, os.FileMode(f.Mode)))
	}
	r.steps(ctx, d, "")
	for _, s := range d.Services {
		log, err := os.Create(filepath.Join(filepath.Dir(r.data), s.Name+".log"))
		r.must(err)
		cmd := r.command(context.WithoutCancel(ctx), s.Argv, s.Env)
		cmd.Stdout, cmd.Stderr = log, log
		r.must(cmd.Start())
		r.running[s.Name], r.logs[s.Name] = cmd, log
		probe := release.Probe{TCP: r.firstPort(s)}
		if s.Readiness != nil {
			probe = s.Readiness.Probe
		}
		r.await(ctx, "service "+s.Name, probe)
		r.steps(ctx, d, s.Name)
	}
	for _, p := range d.Promises {
		r.await(ctx, "promise "+p.Name, p.Probe)
	}
}

func (r *runner) firstPort(s release.Service) string {
	for _, port := range s.Ports {
		return netip.AddrPortFrom(r.address, port).String()
	}
	return ""
}

func (r *runner) steps(ctx context.Context, d release.Desired, after string) {
	r.t.Helper()
	for _, s := range d.Once {
		if s.After == after && r.done[s.Name] != s.Revision {
			begun := time.Now()
			r.must(r.run(ctx, "once "+s.Name, s.Argv, s.Env, s.Stdin))
			r.done[s.Name] = s.Revision
			r.t.Logf("once %s took %v", s.Name, time.Since(begun).Round(time.Millisecond))
		}
	}
}

// await tries a probe until it holds.
func (r *runner) await(ctx context.Context, what string, probe release.Probe) {
	r.t.Helper()
	begun := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := r.probe(ctx, what, probe)
		if err == nil {
			r.t.Logf("%s took %v", what, time.Since(begun).Round(time.Millisecond))
			return
		}
		select {
		case <-ctx.Done():
			r.dump()
			r.t.Fatal(err)
		case <-tick.C:
		}
	}
}

func (r *runner) probe(ctx context.Context, what string, p release.Probe) error {
	if p.HTTP != "" {
		_, err := get(ctx, p.HTTP)
		return err
	}
	if p.TCP == "" {
		return r.run(ctx, what, p.Exec, p.Env, nil)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.TCP)
	if err == nil {
		err = conn.Close()
	}
	return err
}

// counts asks for the metrics.
func (r *runner) counts(d release.Desired) map[string]uint64 {
	r.t.Helper()
	counts := make(map[string]uint64)
	for _, m := range d.Metrics {
		out, err := r.command(r.t.Context(), m.Exec, m.Env).Output()
		r.must(err)
		n, err := strconv.ParseUint(strings.TrimSpace(string(out)), 10, 64)
		r.must(err)
		counts[m.Name] = n
		r.t.Logf("metric %s is %d", m.Name, n)
	}
	return counts
}

// stop ends all services as d says, and fails if one has to be killed.
func (r *runner) stop(d release.Desired) {
	r.t.Helper()
	for _, s := range d.Services {
		cmd := r.running[s.Name]
		delete(r.running, s.Name)
		r.must(syscall.Kill(child(r.t, cmd.Process.Pid), unix.SignalNum(s.StopSignal)))
		ended := make(chan error, 1)
		begun := time.Now()
		go func() { ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			r.t.Logf("service %s stopped in %v: %v", s.Name, time.Since(begun).Round(time.Millisecond), err)
		case <-time.After(s.StopGrace):
			_ = cmd.Process.Kill()
			r.dump()
			r.t.Fatalf("service %s does not stop within %v", s.Name, s.StopGrace)
		}
	}
}

// child returns the one child of a process: bubblewrap's command.
func child(t *testing.T, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	var out int
	if err == nil {
		_, err = fmt.Sscan(string(data), &out)
	}
	if err != nil {
		t.Fatal("child of bwrap:", err)
	}
	return out
}

func (r *runner) dump() {
	for name, log := range r.logs {
		data, err := os.ReadFile(log.Name())
		r.t.Logf("log of %s (%v):\n%s", name, err, data)
	}
}

func (r *runner) must(err error) {
	r.t.Helper()
	if err != nil {
		r.dump()
		r.t.Fatal(err)
	}
}

// desired evaluates a profile for the runner's instance.
func (r *runner) desired(p *release.Release, parameters map[string]string) release.Desired {
	r.t.Helper()
	given := map[string]json.RawMessage{}
	for key, value := range parameters {
		given[key] = json.RawMessage(fmt.Sprintf("%q", value))
	}
	return r.evaluate(p, release.Input{Parameters: given})
}

// evaluate is desired with more than parameters.
func (r *runner) evaluate(p *release.Release, in release.Input) release.Desired {
	r.t.Helper()
	in.Reference, in.Address = "try", r.address
	in.Secret = func(name string) string { return strings.Repeat("s3cret", 3) + strings.ReplaceAll(name, "-", "") }
	d, err := p.Evaluate(in)
	r.must(err)
	return d
}

// dial reports whether something listens at an address.
func dial(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return errors.Join(conn.Close())
}
