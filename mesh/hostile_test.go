package mesh_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/slapmesh/slapmesh/mesh"
)

// These tests are about a hostile member: its certificate is good, and it
// sends what it likes.

// A member that tells of peers that nobody admitted is not believed, however
// well they describe themselves.
func TestInventedPeers(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		peers := w.start(3)
		for _, p := range peers {
			p.untilAlive(t, 3)
		}
		hostile := peers[2]
		otherCA := newWorld(t).ca
		for name, vouch := range map[string]func(mesh.PeerID) []byte{
			"no voucher":       func(mesh.PeerID) []byte { return nil },
			"of another CA":    func(id mesh.PeerID) []byte { return mesh.Vouch(otherCA, id, true, time.Now().Add(time.Hour)) },
			"for another peer": func(mesh.PeerID) []byte { return mesh.Vouch(w.ca, hostile.Self(), true, time.Now().Add(time.Hour)) },
			"that is over":     func(id mesh.PeerID) []byte { return mesh.Vouch(w.ca, id, true, time.Now().Add(-time.Hour)) },
			"too long":         func(mesh.PeerID) []byte { return make([]byte, 75) },
			"of a version to come": func(id mesh.PeerID) []byte {
				return append([]byte{2}, mesh.Vouch(w.ca, id, true, time.Now().Add(time.Hour))[1:]...)
			},
			"whose flags were rewritten": func(id mesh.PeerID) []byte {
				v := mesh.Vouch(w.ca, id, false, time.Now().Add(time.Hour))
				v[1] = 1
				return v
			},
		} {
			invented := newIdentity(t)
			d, _ := mesh.SignDescriptor(invented, w.ca.MeshID(), mesh.WithVoucher(mesh.Descriptor{Name: "x", Addresses: []string{"10.9.9.9:1"}, Seq: 9}, vouch(invented.ID())))
			for range 10 {
				hostile.SendAlive(peers[0].Self(), d, 7)
				hostile.SendAlive(peers[1].Self(), d, 8)
			}
			if name != "that is over" { // as all are to who has a wrong clock
				peers[0].AddSeeds([]mesh.Descriptor{d}) // nor from a join reply
			}
			time.Sleep(2 * time.Second)
			for _, p := range peers {
				if s := p.state(invented.ID()); s != "" {
					t.Errorf("%s: %s believes in it: %s", name, p.config.Name, s)
				}
			}
		}
		// Whom the CA vouches for is believed.
		absent := newIdentity(t)
		d, err := mesh.SignDescriptor(absent, w.ca.MeshID(), mesh.WithVoucher(mesh.Descriptor{Name: "x", Addresses: []string{"10.9.9.9:1"}, Seq: 9}, mesh.Vouch(w.ca, absent.ID(), false, time.Now().Add(time.Hour))))
		if err != nil {
			t.Fatal(err)
		}
		hostile.SendAlive(peers[0].Self(), d, 7)
		time.Sleep(100 * time.Millisecond)
		if peers[0].state(absent.ID()) == "" {
			t.Error("a peer that the CA vouches for is not believed")
		}
	})
}

// A member that goes on to tell that a dead peer lives, by repeating what that
// said before, does not bring it back.
func TestDeadPeerStaysDead(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		peers := w.start(5)
		for _, p := range peers {
			p.untilAlive(t, 5)
		}
		hostile, dead := peers[4], peers[3]
		last := hostile.Descriptor(dead.Self())
		dead.Silence()
		stop := make(chan struct{})
		go func() {
			for n := uint32(100); ; n++ {
				for _, p := range peers[:3] {
					hostile.SendAlive(p.Self(), last, n)
				}
				select {
				case <-stop:
					return
				case <-time.After(200 * time.Millisecond):
				}
			}
		}()
		defer func() {
			close(stop)
			synctest.Wait()
		}()
		time.Sleep(30 * time.Second)
		for second := range 60 {
			time.Sleep(time.Second)
			for _, p := range peers[:3] {
				if s := p.state(dead.Self()); s == mesh.StateAlive {
					t.Fatalf("after %d s %s believes that it is alive", 30+second, p.config.Name)
				}
			}
		}
		for _, p := range peers[:3] {
			t.Logf("%s: %s", p.config.Name, p.state(dead.Self()))
		}
	})
}

// A member that opens as many streams as it can gets no more than its share,
// and the others get theirs.
func TestManyStreams(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		peers := w.start(3)
		for _, p := range peers {
			p.untilAlive(t, 3)
		}
		victim, honest, hostile := peers[0], peers[1], peers[2]
		victim.echo(mesh.KindRPC)
		victim.echo(mesh.KindRaft)
		for _, kind := range []mesh.Kind{mesh.KindRPC, mesh.KindRaft} {
			share := mesh.StreamsOf(kind)
			var held []net.Conn
			var err error
			for len(held) <= share {
				var c net.Conn
				if c, err = hostile.Dial(t.Context(), victim.Self(), kind); err != nil {
					break
				}
				held = append(held, c)
			}
			if len(held) != share || !errors.Is(err, mesh.ErrBusy) {
				t.Errorf("%s: %d streams, want %d; %v", kind, len(held), share, err)
			}
			if word, err := say(t.Context(), honest, victim.Self(), kind, "hello"); word != "hello" || err != nil {
				t.Errorf("%s: an honest peer hears %q, %v", kind, word, err)
			}
			for _, c := range held {
				_ = c.Close()
			}
			time.Sleep(time.Second)
			if word, err := say(t.Context(), hostile, victim.Self(), kind, "again"); word != "again" || err != nil {
				t.Errorf("%s: what was given back cannot be had again: %q, %v", kind, word, err)
			}
		}
		// Streams that say no kind are ended a few at a time, when they have had
		// time to. Only whoever opened them waits.
		const many = 3000
		waited := make(chan int)
		go func() {
			ended, err := hostile.OpenUnnamed(t.Context(), victim.Self(), many, 12*time.Second)
			if err != nil {
				t.Error(err)
			}
			waited <- ended
		}()
		time.Sleep(time.Second)
		if word, err := say(t.Context(), honest, victim.Self(), mesh.KindRPC, "hello"); word != "hello" || err != nil {
			t.Errorf("an honest peer hears %q, %v", word, err)
		}
		if ended := <-waited; ended != 2*mesh.StreamsUnnamed {
			t.Errorf("of %d streams that say no kind %d were ended within 12 s, want %d", many, ended, 2*mesh.StreamsUnnamed)
		}
	})
}

// A member that floods another with gossip neither stops it nor makes it
// believe that others are gone.
func TestManyPackets(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		peers := w.start(4)
		for _, p := range peers {
			p.untilAlive(t, 4)
		}
		hostile, victim := peers[3], peers[0]
		own := hostile.Descriptor(hostile.Self())
		for range 100 { // ten seconds
			for n := range uint32(500) {
				hostile.SendAlive(victim.Self(), own, n)
			}
			time.Sleep(100 * time.Millisecond)
			for _, p := range peers[:3] {
				if n := alive(p.Members()); n != 4 {
					t.Fatalf("%s sees %d alive", p.config.Name, n)
				}
			}
		}
	})
}

// An address that begins handshake after handshake is refused, and others are
// not.
func TestManyHandshakesOfOneAddress(t *testing.T) {
	for _, test := range []struct {
		from string
		want int
	}{
		{"192.0.2.1:7", mesh.HandshakesPerSource},
		{"[::ffff:192.0.2.1]:7", mesh.HandshakesPerSource},
		{"[2001:db8::1]:7", mesh.HandshakesPerSource},
		{"127.0.0.1:7", 1000},
		{"[::1]:7", 1000},
	} {
		if got := mesh.Reached(net.UDPAddrFromAddrPort(netip.MustParseAddrPort(test.from)), 1000); got != test.want {
			t.Errorf("%s: %d of 1000 handshakes begin, want %d", test.from, got, test.want)
		}
	}
	inBubble(t, func(w *world) {
		t := w.t
		victim := w.open(w.config())
		hostile := newIdentity(t)
		transport := &quic.Transport{Conn: w.socket(), ConnectionIDLength: 8}
		defer func() { _ = transport.Close() }()
		done, refused := 0, 0
		for range 3 * mesh.HandshakesPerSource {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			c, err := transport.Dial(ctx, victim.Addr(), mesh.DoorConfig(hostile, w.ca.Digest()), nil)
			cancel()
			if err != nil {
				refused++
				continue
			}
			done++
			_ = c.CloseWithError(0, "")
		}
		if refused == 0 {
			t.Errorf("%d handshakes of one address, and none was refused", done)
		}
		t.Logf("%d handshakes, %d refused", done, refused)
		p := w.open(w.config())
		p.AddSeeds(victim.Seeds())
		p.untilAlive(t, 2)
	})
}

// Who saw a server name on the wire, and repeats it, is shown no certificate:
// not by that peer, and, if a member used it, not by another.
func TestRepeatedServerName(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		peers := w.start(2)
		socket := w.socket()
		transport := &quic.Transport{Conn: socket}
		shows := func(at *peer, name, alpn string) (shown bool) {
			c, err := transport.Dial(t.Context(), at.Addr(), &tls.Config{
				InsecureSkipVerify: true, ServerName: name, NextProtos: []string{alpn},
				VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
					shown = len(raw) > 0
					return nil
				},
			}, nil)
			if err == nil {
				_ = c.CloseWithError(0, "")
			}
			return shown
		}
		digest := w.ca.Digest()
		joins, joinsElsewhere := mesh.Proof(digest), mesh.Proof(digest)
		member := mesh.ProofFor(digest, peers[0].Self())
		for _, step := range []struct {
			what string
			at   *peer
			name string
			alpn string
			want bool
		}{
			{"who joins", peers[0], joins, "slapd-join/1", true},
			{"again", peers[0], joins, "slapd-join/1", false},
			{"again, as a member", peers[0], joins, "slapd/1", false},
			{"another that joins", peers[0], joinsElsewhere, "slapd-join/1", true},
			{"a member, at another peer", peers[1], member, "slapd/1", false},
			{"a member", peers[0], member, "slapd/1", true},
			{"again, though a member", peers[0], member, "slapd/1", false},
			{"a member, at the door", peers[0], mesh.ProofFor(digest, peers[0].Self()), "slapd-join/1", false},
		} {
			if got := shows(step.at, step.name, step.alpn); got != step.want {
				t.Errorf("%s: shown a certificate: %v", step.what, got)
			}
		}
		_ = errors.Join(transport.Close(), socket.Close())
	})
}
