package mesh_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
)

// tcpOnly returns an address at which what listens at another one is reached
// over TCP, but not over UDP.
func tcpOnly(tb testing.TB, to net.Addr) string {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			inner, err := new(net.Dialer).DialContext(tb.Context(), "tcp", to.String())
			if err != nil {
				_ = c.Close()
				continue
			}
			mu.Lock()
			open = append(open, c, inner)
			mu.Unlock()
			for _, pair := range [][2]net.Conn{{c, inner}, {inner, c}} {
				wg.Go(func() {
					_, _ = io.Copy(pair[0], pair[1])
					_ = pair[0].Close()
				})
			}
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// Peers that reach one another over TCP only speak, and see each other alive.
func TestTCP(t *testing.T) {
	w := newWorld(t)
	var peers []*peer
	for range 3 {
		c := w.config()
		c.Advertise = []string{tcpOnly(t, c.Socket.LocalAddr())}
		p := w.open(c)
		p.echo(mesh.KindRPC)
		if len(peers) > 0 {
			p.AddSeeds(peers[0].Seeds())
		}
		peers = append(peers, p)
	}
	for _, p := range peers {
		p.untilAlive(t, 3)
	}
	for _, a := range peers {
		for _, b := range peers {
			if a == b {
				continue
			}
			if got, err := say(t.Context(), a, b.Self(), mesh.KindRPC, "over TCP"); got != "over TCP" || err != nil {
				t.Errorf("%s to %s: %q, %v", a.config.Name, b.config.Name, got, err)
			}
			if m := a.member(b.Self()); m.Path == mesh.PathDirect {
				t.Errorf("%s to %s: %s", a.config.Name, b.config.Name, m.Path)
			} else {
				t.Logf("%s to %s: %s", a.config.Name, b.config.Name, m.Path)
			}
		}
	}
}

// Who joins where UDP does not pass is admitted over TCP.
func TestJoinOverTCP(t *testing.T) {
	w := newWorld(t)
	p := w.withTCP()
	began := time.Now()
	r, err := mesh.Join(t.Context(), mesh.JoinConfig{
		Identity: newIdentity(t), Address: tcpOnly(t, p.Addr()), Token: &w.token, Name: "newcomer", Clock: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("joined after %v, seen at %s", time.Since(began), r.Observed)
	if len(r.Seeds) == 0 || !strings.HasPrefix(r.Observed, "127.0.0.1:") {
		t.Errorf("%d seeds, observed %s", len(r.Seeds), r.Observed)
	}
}

// withTCP starts a peer that has its port in TCP too, which another program may
// have where UDP was free.
func (w *world) withTCP() *peer {
	w.tb.Helper()
	for range 100 {
		p := w.open(w.config())
		c, err := new(net.Dialer).DialContext(w.tb.Context(), "tcp", p.Addr().String())
		if err == nil {
			_ = c.Close()
			return p
		}
	}
	w.tb.Fatal("no port is free in UDP and in TCP")
	return nil
}

// A stranger who comes over TCP sees no certificate and no banner.
func TestStrangerOverTCP(t *testing.T) {
	w := newWorld(t)
	p := w.withTCP()
	w2 := newWorld(t)
	for name, config := range map[string]*tls.Config{
		"no proof":         {ServerName: "example.com"},
		"no server name":   {},
		"member's ALPN":    {ServerName: "example.com", NextProtos: []string{"slapd/1"}},
		"of another mesh":  mesh.DoorConfig(newIdentity(t), w2.ca.Digest()),
		"older TLS":        {ServerName: "example.com", MaxVersion: tls.VersionTLS12},
		"proof, no member": {ServerName: mesh.ProofFor(w.ca.Digest(), p.Self()), NextProtos: []string{"slapd/1"}},
	} {
		config.InsecureSkipVerify = true
		seen := false
		config.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error {
			seen = true
			return nil
		}
		d := tls.Dialer{Config: config}
		c, err := d.DialContext(t.Context(), "tcp", p.Addr().String())
		if err == nil {
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			_, err = c.Read(make([]byte, 1))
			_ = c.Close()
		}
		if err == nil || seen != strings.HasPrefix(name, "proof") {
			t.Errorf("%s: saw a certificate: %v; %v", name, seen, err)
		}
	}
	for _, words := range []string{"GET / HTTP/1.0\r\n\r\n", "SSH-2.0-x\r\n", strings.Repeat("\x00", 100)} {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(c, words)
		got, err := io.ReadAll(c)
		if len(got) > 7 || bytes.Contains(got, []byte("slap")) || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q was answered with %q, %v", words, got, err)
		}
		_ = c.Close()
	}
}
