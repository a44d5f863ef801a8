package lan_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh/lan"
)

var (
	ours   = [32]byte{1, 2, 3}
	theirs = [32]byte{4, 5, 6}
)

// TestMain lets the test program be a peer that answers, in the network
// namespace where it was started.
func TestMain(m *testing.M) {
	if what := os.Getenv("LAN_TEST_ANSWER"); what != "" {
		c := lan.Config{
			Digests: func() [][32]byte { return [][32]byte{{9}, ours} }, Port: func() uint16 { return 7527 }, Clock: time.Now, Log: slog.New(slog.DiscardHandler),
			Open: func() (string, bool) { return "market", what == "open" },
		}
		fmt.Println("up")
		if err := lan.Answer(context.Background(), c); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		return
	}
	if what := os.Getenv("LAN_TEST_FIND"); what != "" {
		digest := map[string]*[32]byte{"ours": &ours, "theirs": &theirs, "open": nil}[what]
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		found, err := lan.Find(ctx, digest)
		cancel()
		fmt.Println(found, err)
		return
	}
	os.Exit(m.Run())
}

// TestFind is about two computers on one network, in namespaces that a bridge
// joins. One answers: who holds a token of its mesh finds it, nobody else does,
// unless the mesh is an open one.
func TestFind(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs the program ip (Debian: iproute2)")
	}
	name := fmt.Sprintf("lan%d", os.Getpid()%100000)
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil { //nolint:gosec // of this test
			t.Skipf("network namespaces cannot be made here: ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	t.Cleanup(func() {
		for _, n := range []string{"a", "b", "s"} {
			_ = exec.Command("ip", "netns", "del", name+n).Run() //nolint:gosec,noctx // of this test
		}
	})
	for _, n := range []string{"s", "a", "b"} {
		ip("netns", "add", name+n)
	}
	ip("-n", name+"s", "link", "add", "br0", "type", "bridge")
	ip("-n", name+"s", "link", "set", "br0", "up")
	for i, n := range []string{"a", "b"} {
		ip("-n", name+n, "link", "add", "eth0", "type", "veth", "peer", "name", "p"+n, "netns", name+"s")
		ip("-n", name+"s", "link", "set", "p"+n, "master", "br0")
		ip("-n", name+"s", "link", "set", "p"+n, "up")
		ip("-n", name+n, "addr", "add", fmt.Sprintf("192.0.2.%d/24", i+1), "dev", "eth0")
		ip("-n", name+n, "link", "set", "eth0", "up") // and no route elsewhere
	}
	run := func(namespace, variable string) *exec.Cmd {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		c := exec.CommandContext(t.Context(), "ip", "netns", "exec", name+namespace, self) //nolint:gosec // of this test
		c.Env = append(os.Environ(), variable)
		return c
	}
	for _, mesh := range []string{"private", "open"} {
		answers := run("a", "LAN_TEST_ANSWER="+mesh)
		out, err := answers.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := answers.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		for asks, want := range map[string]string{"ours": "192.0.2.1:7527", "theirs": "[] <nil>", "open": map[string]string{"private": "[] <nil>", "open": "market"}[mesh]} {
			got, err := run("b", "LAN_TEST_FIND="+asks).Output()
			if err != nil || !strings.Contains(string(got), want) {
				t.Errorf("a %s mesh, asked by %s: %s, %v, want %s", mesh, asks, got, err, want)
			}
		}
		_ = answers.Process.Kill()
		_ = answers.Wait()
	}
}
