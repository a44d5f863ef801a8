package mesh_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/slapmesh/slapmesh/mesh"
)

// join asks the peer to be admitted, with the world's token.
func (w *world) join(at interface{ Addr() net.Addr }, change func(*mesh.JoinConfig)) (*mesh.JoinResult, mesh.Config, error) {
	c := w.config()
	token := w.token
	j := mesh.JoinConfig{Identity: c.Identity, Socket: c.Socket, Address: at.Addr().String(), Token: &token, Name: c.Name, Clock: w.now}
	if change != nil {
		change(&j)
	}
	r, err := mesh.Join(context.Background(), j)
	if err != nil {
		_ = c.Socket.Close()
		return nil, c, err
	}
	c.Credentials = r.Credentials
	return r, c, nil
}

func TestJoinThroughAnyPeer(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		peers := w.start(3)
		peers[2].untilAlive(t, 3)
		r, c, err := w.join(peers[2], nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Role != "voter" || r.Account != "ann" || r.Epoch != 1 || len(r.Seeds) != 3 || r.Seeds[0].Peer != peers[2].Self() {
			t.Errorf("result: %+v", r)
		}
		if got := r.Credentials.MeshID(); got != w.ca.MeshID() {
			t.Errorf("mesh id %s, want %s", got, w.ca.MeshID())
		}
		p := w.open(c) // on the socket that it joined over
		p.AddSeeds(r.Seeds)
		p.untilAlive(t, 4)
		for _, other := range peers {
			other.untilAlive(t, 4)
		}
		a := w.admits[0]
		if a.Peer != p.Self() || a.Open || a.TokenDigest != w.token.Digest() || a.Name != c.Name {
			t.Errorf("admission: %+v", a)
		}
	})
}

func TestJoinOpenMesh(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		at := w.start(1)[0]
		address, fingerprint, err := mesh.ParseAddress(at.Addr().String() + "#" + mesh.Fingerprint(w.ca.Digest()).String())
		if err != nil {
			t.Fatal(err)
		}
		_, c, err := w.join(at, func(j *mesh.JoinConfig) { j.Token, j.Fingerprint, j.Address = nil, fingerprint, address })
		if err != nil {
			t.Fatal(err)
		}
		if a := w.admits[0]; !a.Open || a.TokenDigest != [32]byte{} {
			t.Errorf("admission: %+v", a)
		}
		_ = c.Socket.Close()
	})
}

func TestJoinRefused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		world  func(*world)
		change func(*mesh.JoinConfig)
		want   string
		is     error
		admits int // how often the ledger was asked, that is, the token at risk
	}{
		{
			name:   "wrong token",
			change: func(j *mesh.JoinConfig) { j.Token.Secret[0]++ },
			want:   "no such token", is: mesh.ErrRefused, admits: 1,
		},
		{
			name:  "used or expired token",
			world: func(w *world) { w.refuse = "the token was used already: make another with `slapd token create`" },
			want:  "used already", is: mesh.ErrRefused, admits: 1,
		},
		{
			name:   "token of another mesh",
			change: func(j *mesh.JoinConfig) { j.Token.CADigest[0]++ },
			want:   "of another mesh",
		},
		{
			name:   "clock a day ahead",
			change: func(j *mesh.JoinConfig) { j.Clock = off(24*time.Hour + 3*time.Minute) },
			want:   "your clock is 24h3m ahead of the mesh: set it (timedatectl set-ntp true, or without Internet date -u -s '", is: mesh.ErrRefused,
		},
		{
			name:   "clock a day behind",
			change: func(j *mesh.JoinConfig) { j.Clock = off(-24 * time.Hour) },
			want:   "your clock is 24h0m behind the mesh", is: mesh.ErrRefused,
		},
		{
			name:   "nobody there",
			change: func(j *mesh.JoinConfig) { j.Address = "10.9.9.9:1" },
			want:   "10.9.9.9:1: no answer within 10s: is slapd running there, is 1 its port, and does no firewall block UDP port 1?",
		},
		{
			name:   "neither token nor fingerprint",
			change: func(j *mesh.JoinConfig) { j.Token = nil },
			want:   "--token",
		},
		{
			name:   "token and fingerprint differ",
			change: func(j *mesh.JoinConfig) { j.Fingerprint = &mesh.Fingerprint{} },
			want:   "another mesh than the fingerprint",
		},
		{
			name:   "address without a port",
			change: func(j *mesh.JoinConfig) { j.Address = "10.0.0.1" },
			want:   "write HOST:PORT",
		},
		{
			name:   "name with a line break",
			change: func(j *mesh.JoinConfig) { j.Name = "a\nb" },
			want:   "plain text", is: mesh.ErrRefused,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				at := w.start(1)[0]
				if tc.world != nil {
					tc.world(w)
				}
				_, _, err := w.join(at, tc.change)
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Fatalf("error %v, want %q in it", err, tc.want)
				}
				if tc.is != nil && !errors.Is(err, tc.is) {
					t.Errorf("error %v is not %v", err, tc.is)
				}
				if len(w.admits) != tc.admits {
					t.Errorf("the ledger was asked %d times, want %d", len(w.admits), tc.admits)
				}
			})
		})
	}
}

func off(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }

// An internal error is not told to strangers.
func TestJoinHidesInternalErrors(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		c := w.config()
		c.Admitter = brokenAdmitter{}
		_, _, err := w.join(w.open(c), nil)
		if !errors.Is(err, mesh.ErrRefused) || strings.Contains(err.Error(), "disk") {
			t.Errorf("error %v", err)
		}
	})
}

type brokenAdmitter struct{}

func (brokenAdmitter) Admit(context.Context, mesh.Admission) (mesh.AdmissionReply, error) {
	return mesh.AdmissionReply{}, errors.New("disk on fire")
}

func (brokenAdmitter) Inspect(context.Context, mesh.Admission) (mesh.Invitation, error) {
	return mesh.Invitation{}, errors.New("disk on fire")
}

func (brokenAdmitter) Readmit(context.Context, mesh.Admission) (mesh.AdmissionReply, error) {
	return mesh.AdmissionReply{}, errors.New("disk on fire")
}

// A peer that admits nobody says so.
func TestJoinWithoutAdmitter(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		c := w.config()
		c.Admitter = nil
		if _, _, err := w.join(w.open(c), nil); !errors.Is(err, mesh.ErrRefused) {
			t.Errorf("error %v", err)
		}
	})
}

// Who answers with a certificate of another CA is not believed, whatever it
// says: a man in the middle who knows the digest of the mesh.
func TestJoinChecksCA(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		other := newWorld(t)
		id := newIdentity(t)
		der, err := other.ca.Issue(mesh.IssueRequest{PublicKey: id.PublicKey(), Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		socket := w.socket()
		transport := &quic.Transport{Conn: socket}
		l, err := transport.Listen(&tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{der, other.ca.CertificateDER()}, PrivateKey: mesh.PrivateKey(id)}},
			NextProtos:   []string{"slapd-join/1"},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = w.join(l, nil)
		if err == nil || !strings.Contains(err.Error(), "another mesh") {
			t.Errorf("error %v", err)
		}
		_ = errors.Join(l.Close(), transport.Close(), socket.Close())
	})
}

// A stranger who does not know the CA digest is shown no certificate, under
// either protocol.
func TestStrangerSeesNoCertificate(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		at := w.start(1)[0]
		socket := w.socket()
		transport := &quic.Transport{Conn: socket}
		for _, alpn := range []string{"slapd/1", "slapd-join/1", "h3"} {
			for _, name := range []string{"", "example.com", mesh.Proof([32]byte{1})} {
				c, err := transport.Dial(context.Background(), at.Addr(), &tls.Config{
					InsecureSkipVerify: true, ServerName: name, NextProtos: []string{alpn},
					VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
						t.Errorf("%s %q: shown %d certificates", alpn, name, len(raw))
						return nil
					},
				}, nil)
				if err == nil {
					t.Errorf("%s %q: connected", alpn, name)
					_ = c.CloseWithError(0, "")
				}
			}
		}
		_ = errors.Join(transport.Close(), socket.Close())
	})
}

// A member of another mesh gets nowhere, even if it knows our digest.
func TestPeerOfAnotherMesh(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		at := w.start(1)[0]
		at.echo(mesh.KindRPC)
		other := newWorld(t)
		other.net, other.cut, other.next = w.net, w.cut, 100
		stranger := other.start(1)[0]
		stranger.AddSeeds(at.Seeds())
		time.Sleep(30 * time.Second)
		if len(at.Members()) != 1 || len(stranger.Members()) != 1 {
			t.Errorf("they met: %+v, %+v", at.Members(), stranger.Members())
		}
		if _, err := say(context.Background(), stranger, at.Self(), mesh.KindRPC, "hello"); err == nil {
			t.Error("a stream was opened")
		}
	})
}

// Garbage and truncated packets neither stop a peer nor are answered at length.
func TestGarbageOnThePort(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		peers := w.start(2)
		peers[0].untilAlive(t, 2)
		socket := w.socket()
		noise := make([]byte, 1400)
		for i := range noise {
			noise[i] = byte(i * 7)
		}
		for size := range 1400 {
			for _, first := range []byte{0x00, 0x40, 0x80, 0xc0, 0xff} {
				noise[0] = first
				if _, err := socket.WriteTo(noise[:size], peers[0].Addr()); err != nil {
					t.Fatal(err)
				}
			}
		}
		go func() { _, _ = io.Copy(io.Discard, packetReader{socket}) }()
		peers[0].echo(mesh.KindRPC)
		if got, err := say(context.Background(), peers[1], peers[0].Self(), mesh.KindRPC, "still there?"); err != nil || got != "still there?" {
			t.Errorf("got %q, %v", got, err)
		}
		_ = socket.Close()
	})
}

// Many strangers at once have to prove their addresses, for a while.
func TestManyHandshakes(t *testing.T) {
	if first, again := mesh.HandshakesUnchecked(1000, 500*time.Millisecond); first != 100 || again != 0 {
		t.Errorf("%d and %d were let through", first, again)
	}
	if first, again := mesh.HandshakesUnchecked(1000, 2*time.Second); first != 100 || again != 100 {
		t.Errorf("%d and %d were let through", first, again)
	}
}

type packetReader struct{ net.PacketConn }

func (r packetReader) Read(b []byte) (int, error) {
	n, _, err := r.ReadFrom(b)
	return n, err
}

// A newcomer that says nothing, or nonsense, does not keep the door.
func TestNonsenseAtTheDoor(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		at := w.start(1)[0]
		socket := w.socket()
		transport := &quic.Transport{Conn: socket}
		for _, words := range []string{"", "\x00", "\xff\xff\xff\xff", "\x00\x00\x00\x05hello", "\x00\x00\x00\x02\xa1"} {
			c, err := transport.Dial(context.Background(), at.Addr(), mesh.DoorConfig(newIdentity(t), w.ca.Digest()), nil)
			if err != nil {
				t.Fatal(err)
			}
			s, err := c.OpenStreamSync(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = s.Write([]byte(words))
			_, err = io.ReadAll(s) // until the door closes
			if err == nil {
				t.Errorf("%q was answered", words)
			}
			_ = c.CloseWithError(0, "")
		}
		if len(w.admits) != 0 {
			t.Errorf("the ledger was asked: %+v", w.admits)
		}
		_ = errors.Join(transport.Close(), socket.Close())
	})
}

func TestPortInUse(t *testing.T) {
	first, err := mesh.Bind("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	_, err = mesh.Bind(first.LocalAddr().String())
	if err == nil || !strings.Contains(err.Error(), "--listen HOST:PORT") || !strings.Contains(err.Error(), "port") {
		t.Errorf("error %v", err)
	}
	t.Log(err)
}
