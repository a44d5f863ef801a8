//go:build linux

package sandbox_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/slapmesh/slapmesh/partition/sandbox"
)

// Who plays what in [TestWayOut]: addresses of the Internet, of what is near
// the computer and behind the same router, and of the computer.
const (
	farAway = "203.0.113.7"
	thisOne = "198.51.100.1"
	router  = "198.51.100.254"
)

var near = []string{"10.9.9.9", "192.168.9.9", "169.254.169.254", "100.64.9.9", router}

// A partition with a way out reaches the Internet, and neither the computer,
// nor what is private near it; one without reaches nothing. The test has a
// network of its own, with a small Internet, and runs again as an ordinary
// user in it.
func TestWayOut(t *testing.T) {
	if os.Getenv("TEST_WAY_OUT") != "" {
		wayOutWithin(t)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("only root makes an Internet; this runs as an ordinary user from there")
	}
	for _, program := range []string{"pasta", "ip", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%v: apt install passt iproute2 util-linux", err)
		}
	}
	again(t, "root", &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS})
}

// again runs the test in another process.
func again(t *testing.T, who string, as *syscall.SysProcAttr) {
	t.Helper()
	dir := openDir(t)
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "test"), self, 0o755)
	}
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "tmp"), 0o777)
	}
	if err == nil {
		err = os.Chmod(filepath.Join(dir, "tmp"), 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "test"), "-test.v", "-test.run", "^TestWayOut$")
	cmd.Dir = filepath.Join(dir, "tmp")
	cmd.Env = append(os.Environ(), "TEST_PROBE="+probe, "TEST_WAY_OUT="+who, "TMPDIR="+cmd.Dir, "HOME="+cmd.Dir)
	cmd.SysProcAttr = as
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("as %s: %v\n%s", who, err, out)
	}
	if strings.Contains(string(out), "--- SKIP") {
		t.Skipf("as %s: %s", who, out)
	}
}

func wayOutWithin(t *testing.T) {
	t.Helper()
	if os.Getenv("TEST_WAY_OUT") == "root" {
		makeInternet(t)
	}
	for _, at := range []string{thisOne, "127.0.0.1"} {
		b := &bench{T: t}
		b.outside("tcp", at+":700"+fmt.Sprint(os.Getuid()&1))
	}
	b := newBench(t, "")
	b.networked()
	if err := b.host.WayOut(); err != nil {
		t.Skip(err)
	}
	port := ":700" + fmt.Sprint(os.Getuid()&1)
	attempts := []string{"dial", farAway + ":80", thisOne + port, "127.0.0.1" + port, "192.0.2.1" + port, "192.0.2.2" + port}
	for _, a := range near {
		attempts = append(attempts, a+":80")
	}
	for _, egress := range []bool{false, true, false} { // each is another life of the same partition
		r, err := b.host.Launch(t.Context(), sandbox.Partition{Folder: b.folder, Tree: b.tree, Egress: egress})
		if err != nil {
			t.Fatal(err)
		}
		said, _ := b.exec(r, attempts...)
		for line := range strings.Lines(said) {
			open := strings.Contains(line, "OPEN") || strings.Contains(line, "timeout")
			if want := egress && strings.HasPrefix(line, farAway); open != want {
				t.Errorf("egress %v: %s", egress, strings.TrimSpace(line))
			}
		}
		if strings.Count(said, "\n")+1 != len(attempts)-1 {
			t.Errorf("egress %v: %s", egress, said)
		}
		if out, code := b.exec(r, "escape"); code != 0 || strings.Contains(out, "OUT:") {
			t.Errorf("egress %v: exit %d: %s", egress, code, out)
		}
		if again, err := b.host.Find(t.Context(), b.folder); err != nil || again.PID != r.PID {
			t.Errorf("egress %v: found %v, %v", egress, again, err)
		} else {
			_ = again.Close()
		}
		_ = r.Close()
	}
	if os.Getenv("TEST_WAY_OUT") == "root" {
		again(t, "ordinary user", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65533, Gid: 65533}})
	}
}

// makeInternet makes another network, in which everybody else is, behind a
// router.
func makeInternet(t *testing.T) {
	t.Helper()
	internet := exec.CommandContext(t.Context(), probe, "sleep")
	internet.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	start(t, internet)
	pid := strconv.Itoa(internet.Process.Pid)
	run := func(line string) {
		t.Helper()
		words := strings.Fields(line)
		if out, err := exec.CommandContext(t.Context(), words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	there := "nsenter -t " + pid + " -n "
	run("mount --make-rprivate /")
	run("mount -t tmpfs none /dev/net")
	run("mknod -m 666 /dev/net/tun c 10 200") // as most computers have it
	run("ip link set lo up")
	run("ip link add name here type veth peer name there netns " + pid)
	run("ip addr add " + thisOne + "/24 dev here")
	run("ip link set here up")
	run(there + "ip link set lo up")
	run(there + "ip addr add " + router + "/24 dev there")
	run(there + "ip link set there up")
	run("ip route add default via " + router)
	for _, a := range append([]string{farAway}, near...) {
		if a != router {
			run(there + "ip addr add " + a + "/32 dev lo")
		}
		server := exec.CommandContext(t.Context(), "nsenter", "-t", pid, "-n", probe, "serve", a+":80")
		server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		start(t, server)
	}
}

// start starts a command that lasts as long as the test.
func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}
