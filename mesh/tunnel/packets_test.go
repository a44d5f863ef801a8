package tunnel_test

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh/tunnel"
)

// What a program says in datagrams to the address of an instance reaches that,
// its answers come back, and the host counts both. A TCP service on the same
// port is another one.
func TestDatagrams(t *testing.T) {
	instance, err := net.ListenPacket("udp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = instance.Close() }()
	go func() {
		b := make([]byte, 100)
		for {
			n, from, err := instance.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = instance.WriteTo(b[:n], from)
		}
	}()
	var carried atomic.Uint64
	r := newRig(t, func(_ *tunnel.Config, s *tunnel.ServeConfig) {
		tcp := s.Dial
		s.Dial = func(ctx context.Context, want tunnel.Want) (net.Conn, error) {
			if !want.UDP {
				return tcp(ctx, want)
			}
			return new(net.Dialer).DialContext(ctx, "udp", instance.LocalAddr().String())
		}
		s.Count = func(netip.AddrPort) *atomic.Uint64 { return &carried }
	})
	r.manager.Set([]tunnel.Service{{Address: r.address, Peer: r.host}, {Address: r.address, UDP: true, Peer: r.host}})
	ask := func() (answer string) {
		c, err := net.Dial("udp", r.address.String()) //nolint:noctx // at once
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		b := make([]byte, 100)
		for began := time.Now(); time.Since(began) < 20*time.Second; { // what comes before it listens is lost
			_, _ = c.Write([]byte("ping"))
			_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			if n, err := c.Read(b); err == nil {
				return string(b[:n])
			}
		}
		return "nothing"
	}
	if got := ask(); got != "ping" {
		t.Errorf("the instance says %s", got)
	}
	if n := carried.Load(); n < 8 || n%4 != 0 {
		t.Errorf("%d bytes were carried", n)
	}
	go func() {
		if c, err := r.instance.Accept(); err == nil {
			echo(c)
		}
	}()
	c := r.dial(t)
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte("word")); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 4)); err != nil || n != 4 {
		t.Errorf("over TCP: %d, %v", n, err)
	}
}
