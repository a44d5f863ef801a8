package main_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh/datagram"
	"github.com/slapmesh/slapmesh/protocol"
)

// On two hosts that share nothing but a cable, an instance of one is asked
// for and used from the other by the URL that it published. Other accounts
// and other ports get nothing.
func TestInstanceIsUsedFromAnotherHost(t *testing.T) {
	t.Parallel()
	downloaded(t, "memcached")
	left, right := twoHosts(t)
	w := newWorld(t, left)
	a := w.start("a", "init", "--listen", "10.7.0.1:7527").up()
	b := w.startIn(right, "b", "join", "10.7.0.1", "--listen", "10.7.0.2:7527", "--token", a.token(protocol.TokenInput{})).up()
	ann := w.startIn(right, "ann", "join", "10.7.0.1:7527", "--listen", "10.7.0.2:7529", "--token", a.token(protocol.TokenInput{Account: "ann"})).up()
	b.sees(3)

	i := b.request(protocol.RequestInput{Reference: "cache", Release: "memcached", Filter: map[string]string{"computer": "a"}})
	if i.ComputerName != "a" || len(named(a.dir, "memcached")) != 1 || len(named(b.dir, "memcached")) != 0 {
		t.Fatalf("runs on %s: processes of a %v, of b %v", i.ComputerName, processesOf(a.dir), processesOf(b.dir))
	}
	address := hostOf(t, i)
	w.until("the URL works on the other host", func() error {
		answer, err := right.talk(address, "D", "set greeting 0 0 5", "hello")
		if err == nil && answer != "STORED" {
			t.Fatalf("memcached says %q", answer)
		}
		return err
	})
	for n, host := range map[string]*network{"its own": left, "the other": right} {
		if answer, err := host.talk(address, "END", "get greeting"); err != nil || answer != "VALUE greeting 0 5\nhello\nEND" {
			t.Errorf("on %s host: %v, %q", n, err, answer)
		}
	}
	large := strings.Repeat("0123456789abcdef", 60_000)
	if answer, err := right.talk(address, "STORED", fmt.Sprintf("set large 0 0 %d", len(large)), large); err != nil || answer != "STORED" {
		t.Fatalf("large value: %v, %.80q", err, answer)
	}
	if answer, err := right.talk(address, "END", "get large"); err != nil || !strings.Contains(answer, "\n"+large+"\n") {
		t.Errorf("large value: %v, %d bytes", err, len(answer))
	}

	if _, err := ann.Instance(t.Context(), protocol.Ref{Reference: "cache"}); !errors.Is(err, protocol.ErrNotFound) {
		t.Errorf("ann sees the instance of another account: %v", err)
	}
	if _, err := ann.Instance(t.Context(), protocol.Ref{Reference: "cache", Account: a.status.Account}); !errors.Is(err, protocol.ErrForbidden) {
		t.Errorf("ann names another account: %v", err)
	}
	ip, _, _ := net.SplitHostPort(address)
	if _, err := right.dial(net.JoinHostPort(ip, "22")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("port that the instance does not publish: %v", err)
	}
	b.stop()
	w.until("ann's peer carries nothing", func() error {
		conn, err := right.dial(address)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil
		}
		if err == nil {
			_ = conn.Close()
			err = errors.New("connected")
		}
		return err
	})
	a.set("cache", protocol.RequestDestroyed)
	w.until("what was carried is billed", func() error {
		s, err := a.Statement(t.Context(), "")
		if err != nil {
			return err
		}
		bill := only(t, s.Pays)
		// The large value went in and out, with a few words; what was said on
		// its own host is nobody's to count.
		if bill.Until != nil && bill.Used.Network >= 2*uint64(len(large)) && bill.Used.Network < 2*uint64(len(large))+1000 {
			return nil
		}
		return fmt.Errorf("%d bytes to %v, ended %v", bill.Used.Network, bill.Billed, bill.Until)
	})
}

// Instances of one project reach one another by their URLs, on computers of
// different owners too; when the last one there is gone, so is the way.
func TestInstancesReachOneAnother(t *testing.T) {
	t.Parallel()
	downloaded(t, "memcached")
	left, right := twoHosts(t)
	w := newWorld(t, left)
	a := w.start("a", "init", "--listen", "10.7.0.1:7527").up()
	ann := w.startIn(right, "ann", "join", "10.7.0.1:7527", "--listen", "10.7.0.2:7527",
		"--token", a.token(protocol.TokenInput{Account: "ann", Role: protocol.RoleComputer})).up()
	a.sees(2)
	if _, err := ann.SetComputer(t.Context(), protocol.ComputerInput{Computer: "ann", Scope: "public"}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.CreateProject(t.Context(), protocol.ProjectInput{Project: "acme"}); err != nil {
		t.Fatal(err)
	}
	started := func(reference, computer string) protocol.Instance {
		a.ask(protocol.RequestInput{Account: "acme", Reference: reference, Release: "memcached", Filter: map[string]string{"computer": computer}})
		i, err := protocol.Wait(t.Context(), a, protocol.Ref{Reference: reference, Account: "acme"}, nil)
		if err != nil {
			t.Fatalf("%s: %v (state %s: %s)", reference, err, i.State, i.Reason)
		}
		return i
	}
	db := started("db", "a")
	reaches := func(from *network, i protocol.Instance, want bool) error {
		answer, err := from.talk(hostOf(t, i), "END", "get greeting")
		if want && err == nil && answer == "END" || !want && errors.Is(err, syscall.ECONNREFUSED) {
			return nil
		}
		return fmt.Errorf("%w: %q", err, answer)
	}
	if err := reaches(right, db, false); err != nil {
		t.Errorf("before anything of acme runs there: %v", err)
	}
	web := started("web", "ann")
	inside := func(p *peer) *network { // the network of the only instance there
		namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", p.only("memcached")))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = namespace.Close() })
		return &network{namespace: namespace}
	}
	ofWeb, ofDB := inside(ann), inside(a)
	w.until("it is reached from an instance of its project", func() error { return reaches(ofWeb, db, true) })
	w.until("so it is the other way", func() error { return reaches(ofDB, web, true) })
	if err := reaches(right, db, false); err != nil {
		t.Errorf("from the computer that has the instance, whose owner has no part in the project: %v", err)
	}
	if _, err := a.SetState(t.Context(), protocol.Ref{Reference: "web", Account: "acme"}, protocol.RequestDestroyed); err != nil {
		t.Fatal(err)
	}
	w.until("the way is gone", func() error { return reaches(ofWeb, db, false) })
}

// A service of UDP is used from another host by its address, and through
// slapd connect; what is carried is counted.
func TestUDPService(t *testing.T) {
	t.Parallel()
	downloaded(t, "memcached")
	left, right := twoHosts(t)
	w := newWorld(t, left)
	a := w.start("a", "init", "--listen", "10.7.0.1:7527").up()
	b := w.startIn(right, "b", "join", "10.7.0.1:7527", "--listen", "10.7.0.2:7527", "--token", a.token(protocol.TokenInput{})).up()
	a.sees(2)
	folder := filepath.Join(t.TempDir(), "datagrams")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	profile := `
release(name = "datagrams", version = "1", title = "Memcached over UDP", sources = [debian("memcached")])

def instance(i):
    i.service("memcached", ["memcached", "-l", i.ip, "-p", "11211", "-U", "11211"], ports = {"tcp": 11211, "udp": "11211/udp"})
    i.publish(url = "udp://" + i.address("udp"))
`
	if err := os.WriteFile(filepath.Join(folder, "release.star"), []byte(profile), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := a.slapd("request", folder, "cache", "--filter", "computer=a"); r.code != 0 {
		t.Fatal(r.complaint)
	}
	i := a.settled("cache")
	if len(i.UDPPorts) != 1 || i.UDPPorts[0] != "udp" || i.Ports["udp"] != 11211 {
		t.Fatalf("ports %v, of UDP %v", i.Ports, i.UDPPorts)
	}
	version := func(c net.Conn) error { // see memcached's protocol.txt: each datagram has a number, and how many there are
		defer func() { _ = c.Close() }()
		if _, err := c.Write([]byte("\x00\x07\x00\x00\x00\x01\x00\x00version\r\n")); err != nil {
			return err
		}
		_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
		answer := make([]byte, 100)
		n, err := c.Read(answer)
		if err == nil && !strings.HasPrefix(string(answer[:n]), "\x00\x07\x00\x00\x00\x01\x00\x00VERSION") {
			err = fmt.Errorf("memcached says %q", answer[:n])
		}
		return err
	}
	w.until("it answers on the other host", func() error {
		c, err := right.dialUDP(hostOf(t, i))
		if err != nil {
			return err
		}
		return version(c)
	})
	c, err := b.Connect(t.Context(), protocol.Ref{Reference: "cache"}, protocol.ConnectInput{Port: "udp"})
	if err != nil {
		t.Fatal(err)
	}
	if err := version(framedConn{Conn: nil, stream: c}); err != nil {
		t.Errorf("through the API: %v", err)
	}
	a.set("cache", protocol.RequestDestroyed)
	w.until("what was carried is billed", func() error {
		s, err := a.Statement(t.Context(), "")
		if err == nil && only(t, s.Pays).Used.Network < 50 {
			err = fmt.Errorf("%d bytes", only(t, s.Pays).Used.Network)
		}
		return err
	})
}

// A framedConn says datagrams over a connection of the API.
type framedConn struct {
	net.Conn
	stream protocol.Conn
}

func (f framedConn) Write(p []byte) (int, error)     { return len(p), datagram.Write(f.stream, p) }
func (f framedConn) Read(p []byte) (int, error)      { return datagram.Read(f.stream, p) }
func (f framedConn) Close() error                    { return f.stream.Close() }
func (f framedConn) SetReadDeadline(time.Time) error { return nil }

// twoHosts makes two networks and a cable between them.
func twoHosts(t *testing.T) (left, right *network) {
	t.Helper()
	slapd(t)
	if os.Getuid() != 0 {
		t.Skip("hosts of their own need root")
	}
	left, right = newNetwork(t), newNetwork(t)
	if left == here || right == here {
		t.Skip("no network namespaces")
	}
	left.ip(t, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", right.path())
	for n, address := range map[*network]string{left: "10.7.0.1/24", right: "10.7.0.2/24"} {
		n.ip(t, "address", "add", address, "dev", "cable")
		n.ip(t, "link", "set", "cable", "up")
	}
	return left, right
}

// path names the network to other processes.
func (n *network) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.namespace.Fd()) }

// hostOf returns HOST:PORT of an instance's URL.
func hostOf(tb testing.TB, i protocol.Instance) string {
	tb.Helper()
	u, err := url.Parse(i.Connection["url"])
	if err != nil || u.Host == "" {
		tb.Fatalf("connection %v: %v", i.Connection, err)
	}
	return u.Host
}
