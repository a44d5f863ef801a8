package sandbox_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/partition/sandbox"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// neighbour launches a second partition on the same computer.
func (b *bench) neighbour() *sandbox.Running {
	b.Helper()
	p := sandbox.Partition{Folder: filepath.Join(filepath.Dir(b.folder), "p1"), Tree: b.tree}
	r, err := b.host.Launch(b.Context(), p)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = r.Close()
		if err := b.host.Destroy(context.Background(), p.Folder); err != nil {
			b.Error(err)
		}
	})
	return r
}

// networked skips a test where partitions have no networks of their own.
func (b *bench) networked() {
	b.Helper()
	if !b.host.OwnNetwork() {
		_, why := b.host.Grade()
		b.Skipf("no networks here: %s", why)
	}
}

// outside serves a word on an address of the computer.
func (b *bench) outside(network, address string) string {
	b.Helper()
	l, err := new(net.ListenConfig).Listen(b.Context(), network, address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "outside")
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

// Nothing gets out of a partition, and nobody gets in, but by what its
// supervisor was passed.
func TestNetworkIsClosed(t *testing.T) {
	b := newBench(t, "")
	b.networked()
	r, next := b.launch(), b.neighbour()
	const web = "127.64.250.1:8080"
	b.apply(r, supervisor.Spec{Services: []supervisor.Service{service("web", web)}})
	b.untilPhase(r, supervisor.PhaseStarted)

	// From within: the computer's services, by loopback and by its own
	// address, its abstract and other sockets, metadata, and the neighbour.
	targets := []string{
		b.outside("tcp", "127.0.0.1:0"), b.outside("tcp", "127.64.250.9:0"),
		b.outside("unix", filepath.Join(b.folder, "daemon.sock")),
		"169.254.169.254:80", "10.0.0.1:80", "192.168.0.1:53", "[fe80::1]:80", "[::1]:22",
	}
	b.outside("unix", "@slapd-test")
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(b.outside("tcp", "0.0.0.0:0"))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			targets = append(targets, net.JoinHostPort(p.Addr().String(), port))
		}
	}
	said, _ := b.exec(next, append([]string{"dial", web}, targets...)...)
	if strings.Contains(said, "OPEN") || strings.Count(said, "\n") != len(targets) {
		t.Errorf("from within a partition:\n%s", said)
	}

	// From outside: the address answers only by the supervisor.
	if c, err := new(net.Dialer).DialContext(t.Context(), "tcp", web); err == nil {
		_ = c.Close()
		t.Error("whoever is on this computer connects to the service")
	}
	if said := b.ask(r, web); said == "" {
		t.Error("the service does not answer by its supervisor")
	}
	if said, code := b.exec(r, "dial", web); code != 0 || !strings.Contains(said, "OPEN") {
		t.Errorf("from inside its own partition: %s", said)
	}
}

// Listeners of the computer, and of other partitions, are passed in; they
// work while no daemon is there, can be found again, and be closed.
func TestEntrances(t *testing.T) {
	b := newBench(t, "")
	b.networked()
	r, next := b.launch(), b.neighbour()
	ctx := t.Context()
	web := netip.MustParseAddrPort("127.64.250.1:8080")
	b.apply(r, supervisor.Spec{Services: []supervisor.Service{service("web", web.String())}})
	b.untilPhase(r, supervisor.PhaseStarted)

	ours, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := next.Listen(ctx, web)
	if err != nil {
		t.Fatal(err)
	}
	from := supervisor.Entrance{From: "computer", Address: web.String()}
	within := supervisor.Entrance{From: "p1", Address: web.String()}
	for e, l := range map[supervisor.Entrance]*net.TCPListener{from: ours, within: theirs} {
		if err := r.Serve(ctx, e, l); err != nil {
			t.Fatal(err)
		}
	}
	address := ours.Addr().String()
	_, _ = ours.Close(), theirs.Close() // as a daemon that ends

	for range 3 {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(c)
		if _ = c.Close(); err != nil || len(said) == 0 {
			t.Errorf("from the computer: %q, %v", said, err)
		}
		if said, _ := b.exec(next, "dial", web.String()); !strings.Contains(said, "OPEN") {
			t.Errorf("from the other partition: %s", said)
		}
	}
	has, err := r.Network(ctx)
	if err != nil || fmt.Sprint(has.Serving) != fmt.Sprint([]supervisor.Entrance{from, within}) {
		t.Errorf("it serves %v, %v", has.Serving, err)
	}
	if has, err = next.Network(ctx); err != nil || len(has.Listening) != 1 {
		t.Errorf("it listens at %v, %v", has.Listening, err)
	}
	again, err := next.Listen(ctx, web) // another daemon: the same listener
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()

	for _, err := range []error{r.Unserve(ctx, from), r.Unserve(ctx, within), next.Unlisten(ctx, web.String()), r.Unserve(ctx, from)} {
		if err != nil {
			t.Error(err)
		}
	}
	if c, err := new(net.Dialer).DialContext(ctx, "tcp", address); err == nil {
		_ = c.Close()
		t.Error("the listener of the computer is still open")
	}
	if said, _ := b.exec(next, "dial", web.String()); !strings.Contains(said, "refused") {
		t.Errorf("from the other partition, after all was closed: %s", said)
	}
}

// What a supervisor is asked to open is an address of a loopback, and what it
// is passed is a listener.
func TestEntrancesRefused(t *testing.T) {
	b := newBench(t, "")
	b.networked()
	r := b.launch()
	ctx := t.Context()
	for _, at := range []string{"10.0.0.1:80", "127.0.0.1:0", "[::]:80", "0.0.0.0:80"} {
		if l, err := r.Listen(ctx, netip.MustParseAddrPort(at)); err == nil {
			t.Errorf("it listens at %s: %v", at, l)
		}
		if c, err := r.Dial(ctx, netip.MustParseAddrPort(at), false); err == nil {
			t.Errorf("it connects to %s: %v", at, c)
		}
	}
	if c, err := r.Dial(ctx, netip.MustParseAddrPort("127.64.250.1:9"), false); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("to where nobody listens: %v, %v", c, err)
	}
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, e := range []supervisor.Entrance{
		{From: "", Address: "127.64.250.1:80"},
		{From: strings.Repeat("x", 200), Address: "127.64.250.1:80"},
		{From: "computer", Address: "10.0.0.1:80"},
		{From: "computer", Address: "x\ny"},
	} {
		if err := r.Serve(ctx, e, l); err == nil {
			t.Errorf("it serves %q", e)
		}
	}
	for range 200 { // what is passed is not kept
		if err := r.Unserve(ctx, supervisor.Entrance{From: "nobody", Address: "127.64.250.1:80"}); err != nil {
			t.Fatal(err)
		}
	}
}
