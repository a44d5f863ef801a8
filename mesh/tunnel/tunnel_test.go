package tunnel_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/tunnel"
)

// TestMain checks that nothing runs on after the tests, but for a probe of
// memberlist, which ends by itself within seconds.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"))
}

// pair opens two peers of one mesh that know each other, on the loopback.
func pair(tb testing.TB) (user, host *mesh.Mesh) {
	tb.Helper()
	ca, err := mesh.NewCA("test", rand.Reader, time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	open := func() *mesh.Mesh {
		id, err := mesh.NewIdentity(rand.Reader)
		if err != nil {
			tb.Fatal(err)
		}
		der, err := ca.Issue(mesh.IssueRequest{PublicKey: id.PublicKey(), Now: time.Now()})
		if err != nil {
			tb.Fatal(err)
		}
		m, err := mesh.Open(mesh.Config{
			Identity: id, Credentials: mesh.Credentials{CertificateDER: der, CADER: ca.CertificateDER(), MeshName: "test"},
			Listen: "127.0.0.1:0", Clock: time.Now,
		})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			if err := m.Close(); err != nil {
				tb.Error(err)
			}
		})
		return m
	}
	user, host = open(), open()
	user.AddSeeds(host.Seeds())
	return user, host
}

// rig is a user's computer with a manager and a host's with an instance.
type rig struct {
	address  netip.AddrPort // of the instance
	manager  *tunnel.Manager
	user     *mesh.Mesh
	host     mesh.PeerID
	instance net.Listener // really listens elsewhere: both computers are one

	mu      sync.Mutex
	refuse  error
	connect int // how many connections the instance was asked for
}

func newRig(tb testing.TB, change func(*tunnel.Config, *tunnel.ServeConfig)) *rig {
	tb.Helper()
	user, host := pair(tb)
	r := &rig{host: host.Self(), user: user}
	var err error
	if r.instance, err = new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0"); err != nil {
		tb.Fatal(err)
	}
	port := netip.MustParseAddrPort(r.instance.Addr().String()).Port()
	r.address = netip.AddrPortFrom(netip.MustParseAddr("127.64.99.1"), port)
	serve := tunnel.ServeConfig{
		Authorize: func(peer mesh.PeerID, want tunnel.Want) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if peer != user.Self() || want.Address != r.address {
				return fmt.Errorf("%s at %s: not expected", peer, want.Address)
			}
			return r.refuse
		},
		Dial: func(ctx context.Context, _ tunnel.Want) (net.Conn, error) {
			r.mu.Lock()
			r.connect++
			r.mu.Unlock()
			return new(net.Dialer).DialContext(ctx, "tcp", r.instance.Addr().String())
		},
	}
	config := tunnel.Config{Dial: func(ctx context.Context, peer mesh.PeerID) (net.Conn, error) {
		return user.Dial(ctx, peer, mesh.KindTunnel)
	}}
	if change != nil {
		change(&config, &serve)
	}
	if r.manager, err = tunnel.New(config); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	l := host.Listen(mesh.KindTunnel)
	wg.Go(func() {
		if err := tunnel.Serve(ctx, l, serve); err != nil {
			tb.Error(err)
		}
	})
	wg.Go(func() {
		if err := r.manager.Run(ctx); err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(func() {
		cancel()
		wg.Wait()
		_ = r.instance.Close()
	})
	r.manager.Set([]tunnel.Service{{Address: r.address, Peer: r.host}})
	return r
}

// dial connects to the instance's address as a program would, and waits until
// somebody listens there.
func (r *rig) dial(tb testing.TB) *net.TCPConn {
	tb.Helper()
	for range 200 {
		c, err := new(net.Dialer).DialContext(tb.Context(), "tcp", r.address.String())
		if err == nil {
			return c.(*net.TCPConn)
		}
		<-time.After(10 * time.Millisecond)
	}
	tb.Fatalf("nobody listens at %s", r.address)
	return nil
}

func (r *rig) accept(tb testing.TB) *net.TCPConn {
	tb.Helper()
	c, err := r.instance.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// asked counts the connections to the instance.
func (r *rig) asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.connect
}

func TestHalfClosePassesThrough(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial(t)
	_, _ = io.WriteString(c, "question")
	_ = c.CloseWrite()
	s := r.accept(t)
	if got, err := io.ReadAll(s); string(got) != "question" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	_, _ = io.WriteString(s, "answer")
	_ = s.CloseWrite()
	if got, err := io.ReadAll(c); string(got) != "answer" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	_, _ = c.Close(), s.Close()
}

// TestCount adds up the bytes of all connections, both ways and nothing
// besides.
func TestCount(t *testing.T) {
	var carried atomic.Uint64
	var counted netip.AddrPort
	r := newRig(t, func(_ *tunnel.Config, c *tunnel.ServeConfig) {
		c.Count = func(a netip.AddrPort) *atomic.Uint64 {
			counted = a
			return &carried
		}
	})
	for range 3 {
		c := r.dial(t)
		s := r.accept(t)
		question, answer := make([]byte, 1_000_003), make([]byte, 70_001)
		go func() {
			_, _ = c.Write(question)
			_ = c.CloseWrite()
		}()
		if n, err := io.Copy(io.Discard, s); int(n) != len(question) || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		_, _ = s.Write(answer)
		_ = s.CloseWrite()
		if n, err := io.Copy(io.Discard, c); int(n) != len(answer) || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		_, _ = c.Close(), s.Close()
	}
	if want := uint64(3 * (1_000_003 + 70_001)); carried.Load() != want || counted != r.address {
		t.Errorf("%d bytes of %s are counted, want %d of %s", carried.Load(), counted, want, r.address)
	}
}

// A server that speaks first is heard.
func TestServerSpeaksFirst(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial(t)
	s := r.accept(t)
	_, _ = io.WriteString(s, "220 welcome")
	got := make([]byte, 11)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "220 welcome" {
		t.Errorf("read %q, %v", got, err)
	}
	_, _ = c.Close(), s.Close()
}

func TestResetPassesThrough(t *testing.T) {
	for name, back := range map[string]bool{"to the instance": false, "to the client": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			from := r.dial(t)
			_, _ = io.WriteString(from, "x")
			to := r.accept(t)
			if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if back {
				from, to = to, from
			}
			_ = from.SetLinger(0)
			_ = from.Close()
			if _, err := to.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read: %v", err)
			}
			_ = to.Close()
		})
	}
}

// What the reader does not take, the writer cannot get rid of.
func TestBackPressurePassesThrough(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial(t)
	s := r.accept(t)
	_ = c.SetWriteDeadline(time.Now().Add(2 * time.Second))
	n, err := c.Write(make([]byte, 256<<20))
	if err == nil || n > 64<<20 {
		t.Errorf("%d bytes went nowhere: %v", n, err)
	}
	got, err := io.ReadAll(io.LimitReader(s, int64(n)))
	if len(got) != n || err != nil {
		t.Errorf("%d of %d bytes arrived: %v", len(got), n, err)
	}
	_, _ = c.Close(), s.Close()
}

func TestRefusals(t *testing.T) {
	refused := func(t *testing.T, r *rig) {
		t.Helper()
		c := r.dial(t)
		if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read %d bytes, %v", n, err)
		}
		_ = c.Close()
	}
	t.Run("not authorised", func(t *testing.T) {
		r := newRig(t, nil)
		r.mu.Lock()
		r.refuse = errors.New("not yours")
		r.mu.Unlock()
		refused(t, r)
		if r.asked() != 0 {
			t.Error("the instance was dialled")
		}
	})
	t.Run("instance down", func(t *testing.T) {
		r := newRig(t, nil)
		_ = r.instance.Close()
		refused(t, r)
	})
	t.Run("host unreachable", func(t *testing.T) {
		r := newRig(t, func(c *tunnel.Config, _ *tunnel.ServeConfig) {
			c.Dial = func(context.Context, mesh.PeerID) (net.Conn, error) { return nil, errors.New("unreachable") }
		})
		refused(t, r)
	})
	for name, change := range map[string]func(*tunnel.Config, *tunnel.ServeConfig){
		"too many here":     func(c *tunnel.Config, _ *tunnel.ServeConfig) { c.Connections = 1 },
		"too many there":    func(_ *tunnel.Config, c *tunnel.ServeConfig) { c.Connections = 1 },
		"too many of a one": func(_ *tunnel.Config, c *tunnel.ServeConfig) { c.ConnectionsPerPeer = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			first := r.dial(t)
			s := r.accept(t)
			refused(t, r)
			_, _ = s.Close(), first.Close()
		})
	}
}

// Nonsense at the hosting end is refused, and nobody is dialled for it.
func TestNonsenseAtTheHost(t *testing.T) {
	r := newRig(t, nil)
	for _, words := range []string{"\x00\x00", "\xff\xff", "\x00\x02hi", "\x00\x10"} {
		c, err := r.user.Dial(t.Context(), r.host, mesh.KindTunnel)
		for err != nil { // until they have met
			<-time.After(10 * time.Millisecond)
			c, err = r.user.Dial(t.Context(), r.host, mesh.KindTunnel)
		}
		_, _ = io.WriteString(c, words)
		_ = c.(mesh.HalfCloser).CloseWrite()
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, []byte{4}) {
			t.Errorf("%q: read %x, %v", words, got, err)
		}
		_ = c.Close()
	}
	if r.asked() != 0 {
		t.Error("the instance was dialled")
	}
}

// A service that is no more takes its connections with it; its address is
// free again.
func TestServiceEnds(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial(t)
	s := r.accept(t)
	r.manager.Set(nil)
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("read on")
	}
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("the instance reads on")
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", r.address.String())
	if err != nil {
		t.Error(err)
	} else {
		_ = l.Close()
	}
	_, _ = c.Close(), s.Close()
}

// An address that another program has is taken over once it is free, without
// a word; instances of this computer are left alone.
func TestAddressInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards what follows
		taken := true
		var tries []netip.AddrPort
		m, err := tunnel.New(tunnel.Config{
			Dial:  func(context.Context, mesh.PeerID) (net.Conn, error) { return nil, errors.New("none") },
			Local: func(peer mesh.PeerID) bool { return peer == "self" },
			Listen: func(_ context.Context, a netip.AddrPort) (net.Listener, error) {
				mu.Lock()
				defer mu.Unlock()
				tries = append(tries, a)
				if taken {
					return nil, &net.OpError{Op: "listen", Err: syscall.EADDRINUSE}
				}
				return idle{done: make(chan struct{})}, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		m.Set([]tunnel.Service{service("127.64.0.1:80", "ann"), service("127.64.0.2:80", "self")})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := len(tries); n < 20 || n > 60 {
			t.Errorf("%d tries in ten minutes", n)
		}
		mu.Lock()
		taken = false
		mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		after := len(tries)
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(tries) != after {
			t.Error("it listens more than once")
		}
		for _, a := range tries {
			if a != netip.MustParseAddrPort("127.64.0.1:80") {
				t.Errorf("tried %s", a)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// idle is a listener to which nobody comes.
type idle struct{ done chan struct{} }

func (i idle) Accept() (net.Conn, error) {
	<-i.done
	return nil, net.ErrClosed
}

func (i idle) Close() error {
	select {
	case <-i.done:
	default:
		close(i.done)
	}
	return nil
}
func (i idle) Addr() net.Addr { return nil }

func BenchmarkConnect(b *testing.B) {
	r := newRig(b, nil)
	go func() {
		for {
			s, err := r.instance.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(s, s)
				_ = s.Close()
			}()
		}
	}()
	for b.Loop() {
		c := r.dial(b)
		_, _ = c.Write([]byte("x"))
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			b.Fatal(err)
		}
		_ = c.Close()
	}
}
