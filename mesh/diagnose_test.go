package mesh_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/slapmesh/slapmesh/mesh"
)

// examine looks whether joining at an address would do, over the loopback.
func (w *world) examine(address string, change func(*mesh.JoinConfig)) (*mesh.Diagnosis, error) {
	w.tb.Helper()
	token := w.token
	j := mesh.JoinConfig{Identity: newIdentity(w.tb), Address: address, Token: &token, Name: "new", Clock: w.now, Timeout: 5 * time.Second}
	if change != nil {
		change(&j)
	}
	return mesh.Examine(context.Background(), j)
}

// Looking tells what joining would bring, and uses nothing up.
func TestExamine(t *testing.T) {
	w := newWorld(t)
	at := w.start(1)[0]
	d, err := w.examine(at.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case d.Invitation.Role != "voter" || d.Invitation.Account != "ann" || d.Invitation.Uses != 1:
		t.Errorf("invitation %+v", d.Invitation)
	case d.Address != at.Addr().String() || len(d.Tries) != 1 || d.Tries[0].Err != nil || d.Tries[0].After <= 0:
		t.Errorf("tries %+v, chosen %s", d.Tries, d.Address)
	case d.MeshName != "test" || d.Ahead.Abs() > time.Second:
		t.Errorf("mesh %q, clock %v ahead", d.MeshName, d.Ahead)
	case d.Translated() || d.Observed == "":
		t.Errorf("behind a NAT: here %q, there %q", d.Local, d.Observed)
	case !d.Knocked || !d.Reached:
		t.Errorf("knocked %v, reached %v", d.Knocked, d.Reached)
	}
	if len(w.admits) != 0 || alive(at.Members()) != 1 {
		t.Errorf("looking admitted: %v", w.admits)
	}
}

// All addresses of a name are tried; one that answers is enough.
func TestExamineName(t *testing.T) {
	w := newWorld(t)
	at := w.start(1)[0]
	_, port, _ := net.SplitHostPort(at.Addr().String())
	d, err := w.examine(net.JoinHostPort("localhost", port), nil)
	if err != nil || d.Address != at.Addr().String() {
		t.Fatalf("%+v, %v", d, err)
	}
	for _, try := range d.Tries {
		if (try.Err == nil) != (try.Address == d.Address) {
			t.Errorf("%s: %v", try.Address, try.Err)
		}
	}
}

// Where UDP is dropped, or refused by a firewall, TCP to the same port is tried.
func TestExamineOverTCP(t *testing.T) {
	for name, silent := range map[string]bool{"dropped": true, "refused": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			at := w.withTCP().Addr().String()
			l, u := bothPorts(t)
			defer func() { _ = l.Close() }()
			defer func() { _ = u.Close() }()
			if !silent {
				_ = u.Close()
			}
			go forward(l, at)
			d, err := w.examine(l.Addr().String(), nil)
			if err != nil || d.Path != mesh.PathTCP || d.Invitation.Role != "voter" || d.Knocked || len(d.Tries) != 2 || d.Tries[0].Err == nil {
				t.Errorf("%+v, %v", d, err)
			}
		})
	}
}

// bothPorts listens on one port of the loopback in TCP, and in UDP, where
// nobody answers.
func bothPorts(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
		if err != nil {
			t.Fatal(err)
		}
		u, err := net.ListenPacket("udp", l.Addr().String()) //nolint:noctx // at once
		if err == nil {
			return l, u
		}
		_ = l.Close()
	}
	t.Fatal("no port is free in UDP and in TCP")
	return nil, nil
}

// forward carries TCP connections on to an address.
func forward(l net.Listener, to string) {
	for {
		from, err := l.Accept()
		if err != nil {
			return
		}
		c, err := net.Dial("tcp", to) //nolint:noctx // at once
		if err != nil {
			_ = from.Close()
			return
		}
		go func() {
			_, _ = io.Copy(c, from)
			_ = c.Close()
		}()
		go func() {
			_, _ = io.Copy(from, c)
			_ = from.Close()
		}()
	}
}

// Whatever stands in the way is named, with what to do about it, and no token
// is used.
func TestExamineFailures(t *testing.T) {
	w := newWorld(t)
	at := w.start(1)[0].Addr().String()
	other := newWorld(t)
	foreign := other.start(1)[0].Addr().String()
	for _, tc := range []struct {
		name    string
		address string
		refuse  string
		change  func(*mesh.JoinConfig)
		want    []string
	}{
		{name: "nobody listens", address: closedPort(t), want: []string{"the computer is there, but nothing listens on its UDP port", "slapd run"}},
		{
			name: "nobody answers", address: mutePort(t), change: func(j *mesh.JoinConfig) { j.Timeout = 300 * time.Millisecond },
			want: []string{"no answer within 300ms", "is slapd running there", "nft add rule inet filter input udp dport", "ufw allow"},
		},
		{name: "something else answers", address: echoPort(t), change: func(j *mesh.JoinConfig) { j.Timeout = time.Second }, want: []string{"it does not speak QUIC", "check the port"}},
		{name: "another QUIC", address: webPort(t), want: []string{"speaks QUIC", "it is not slapd", "too old or too new", "upgrade slapd"}},
		{name: "another mesh", address: foreign, want: []string{"of another mesh than the token", "ask for a token of this mesh"}},
		{name: "wrong name", address: "no-such-host.invalid:7527", want: []string{"no such host: check the name"}},
		{name: "no port", address: "127.0.0.1", want: []string{"write HOST:PORT"}},
		{
			name: "clock ahead", address: at, change: func(j *mesh.JoinConfig) { j.Clock = off(24 * time.Hour) },
			want: []string{"your clock is 24h0m ahead of the mesh", "timedatectl set-ntp true", "date -u -s '20"},
		},
		{name: "clock behind", address: at, change: func(j *mesh.JoinConfig) { j.Clock = off(-time.Hour) }, want: []string{"your clock is 1h0m behind the mesh"}},
		{name: "used up", address: at, refuse: "token t1 is used up: ask for a new one (slapd token create)", want: []string{"refused", "used up", "slapd token create"}},
		{name: "wrong secret", address: at, change: func(j *mesh.JoinConfig) { j.Token.Secret[3]++ }, want: []string{"no such token"}},
		{name: "nothing to show", address: at, change: func(j *mesh.JoinConfig) { j.Token = nil }, want: []string{"--token", "#FINGERPRINT"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.mu.Lock()
			w.refuse = tc.refuse
			w.mu.Unlock()
			began := time.Now()
			d, err := w.examine(tc.address, tc.change)
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%+v: error %v, want %q in it", d, err, want)
				}
			}
			if tc.name == "nobody listens" && time.Since(began) > 4*time.Second {
				t.Errorf("said so after %v only", time.Since(began))
			}
			if len(w.admits) != 0 {
				t.Error("the token is used")
			}
		})
	}
}

// A door that does not know the question refuses it; it never admits.
func TestExamineHidesInternalErrors(t *testing.T) {
	w := newWorld(t)
	c := w.config()
	c.Admitter = brokenAdmitter{}
	_, err := w.examine(w.open(c).Addr().String(), nil)
	if !errors.Is(err, mesh.ErrRefused) || strings.Contains(err.Error(), "disk") {
		t.Errorf("error %v", err)
	}
}

func udp(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// closedPort is one where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	c := udp(t)
	_ = c.Close()
	return c.LocalAddr().String()
}

// mutePort is one where nobody answers.
func mutePort(t *testing.T) string {
	t.Helper()
	return udp(t).LocalAddr().String()
}

// echoPort answers with what it is sent, mangled.
func echoPort(t *testing.T) string {
	t.Helper()
	c := udp(t)
	go func() {
		b := make([]byte, 2000)
		for {
			_, from, err := c.ReadFromUDP(b)
			if err != nil {
				return
			}
			_, _ = c.WriteToUDP([]byte("who is there?"), from)
		}
	}()
	return c.LocalAddr().String()
}

// webPort speaks QUIC, for something else.
func webPort(t *testing.T) string {
	t.Helper()
	w := newWorld(t)
	id := newIdentity(t)
	certificate := tls.Certificate{Certificate: [][]byte{w.credentials(id).CertificateDER}, PrivateKey: mesh.PrivateKey(id)}
	l, err := quic.Listen(udp(t), &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h3"}, MinVersion: tls.VersionTLS13}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}
