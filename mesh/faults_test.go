package mesh_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
)

// A peer that restarts is the same peer, wherever it comes back.
func TestRestart(t *testing.T) {
	for _, tc := range []struct {
		name  string
		where func(w *world, old net.Addr) net.PacketConn
	}{
		{"at a new port", func(w *world, _ net.Addr) net.PacketConn { return w.socket() }},
		{"at the same port", func(w *world, old net.Addr) net.PacketConn { return w.socketAt(old.(*net.UDPAddr)) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				peers := w.start(12) // more than it tells of itself directly
				c := w.config()
				c.Dir = t.TempDir()
				p := w.open(c)
				p.AddSeeds(peers[0].Seeds())
				p.untilAlive(t, 13)
				peers[1].untilAlive(t, 13)
				p.echo(mesh.KindRPC)
				if _, err := say(context.Background(), peers[1], p.Self(), mesh.KindRPC, "x"); err != nil {
					t.Fatal(err)
				}
				stuck, err := peers[1].Dial(context.Background(), p.Self(), mesh.KindRPC)
				if err != nil {
					t.Fatal(err)
				}
				p.Silence() // no goodbye
				p.stop()

				c.Socket = tc.where(w, p.Addr())
				p = w.open(c) // knows the others from its state folder
				p.echo(mesh.KindRPC)
				began := time.Now()
				p.untilAlive(t, 13)
				t.Logf("sees the others after %v", time.Since(began))
				for _, other := range peers {
					other.until(t, "knows the new address", func(all []mesh.Member) bool {
						for _, m := range all {
							if m.ID == p.Self() {
								return m.State == mesh.StateAlive && len(m.Addresses) == 1 && m.Addresses[0] == p.Addr().String()
							}
						}
						return false
					})
				}
				t.Logf("the others see it after %v", time.Since(began))
				if _, err := say(context.Background(), peers[1], p.Self(), mesh.KindRPC, "x"); err != nil {
					t.Error(err)
				}
				if _, err := stuck.Read(make([]byte, 1)); err == nil {
					t.Error("a stream to the old process goes on")
				}
				t.Logf("streams to the old process ended after %v", time.Since(began))
			})
		})
	}
}

// A peer that is dead costs those who hold streams to it, or dial it,
// seconds; all see it gone.
func TestKilledPeer(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		peers := w.start(5)
		for _, p := range peers {
			p.untilAlive(t, 5)
			p.echo(mesh.KindRaft)
		}
		dead := peers[4]
		var held []net.Conn
		for _, from := range []*peer{peers[0], peers[2]} {
			c, err := from.Dial(context.Background(), dead.Self(), mesh.KindRaft)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, c)
		}
		time.Sleep(time.Hour)
		dead.Silence()
		began := time.Now()
		if _, err := io.WriteString(held[0], "who asks wants to know"); err != nil {
			t.Error(err)
		}
		for i, limit := range []time.Duration{2 * time.Second, 5 * time.Second} {
			if _, err := io.ReadAll(held[i]); err == nil {
				t.Error("read on")
			}
			if d := time.Since(began); d > limit {
				t.Errorf("held stream %d ended after %v", i, d)
			} else {
				t.Logf("held stream %d ended after %v", i, d)
			}
		}
		synctest.Wait() // whoever closed the connection also notes why
		if s := peers[0].state(dead.Self()); s != mesh.StateSuspect && s != mesh.StateFailed {
			t.Errorf("it is %s", s)
		}
		for _, m := range peers[0].Members() {
			if m.ID == dead.Self() && m.Since.Before(began) {
				t.Errorf("it is %s since %v before it died", m.State, began.Sub(m.Since))
			}
		}
		again := time.Now()
		if _, err := peers[1].Dial(context.Background(), dead.Self(), mesh.KindRaft); err == nil {
			t.Error("dialled")
		}
		if d := time.Since(again); d > 5*time.Second {
			t.Errorf("dialling it took %v", d)
		}
		for _, p := range peers[:4] {
			p.until(t, "failed", func([]mesh.Member) bool { return p.state(dead.Self()) == mesh.StateFailed })
		}
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("seen failed by all after %v", d)
		} else {
			t.Logf("seen failed by all after %v", d)
		}
	})
}

func TestLeave(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		peers := w.start(5)
		for _, p := range peers {
			p.untilAlive(t, 5)
		}
		began := time.Now()
		if err := peers[2].Leave(context.Background()); err != nil {
			t.Error(err)
		}
		t.Logf("goodbye took %v", time.Since(began))
		peers[2].stop()
		for i, p := range peers {
			if i != 2 {
				p.until(t, "left", func([]mesh.Member) bool { return p.state(peers[2].Self()) == mesh.StateLeft })
			}
		}
		t.Logf("seen by all after %v", time.Since(began))
		// Who left may come back.
		c := peers[2].config
		c.Socket = w.socket()
		p := w.open(c)
		p.AddSeeds(peers[0].Seeds())
		p.untilAlive(t, 5)
		peers[4].untilAlive(t, 5)
	})
}

// The halves of a mesh that was cut for long find each other again.
func TestPartitionHeals(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		peers := w.start(6)
		for _, p := range peers {
			p.untilAlive(t, 6)
		}
		for _, p := range peers[:3] {
			w.cut.move(p.Addr(), 1)
		}
		for _, p := range peers {
			p.untilAlive(t, 3)
		}
		time.Sleep(3 * time.Minute) // longer than the dead are remembered by gossip
		for _, p := range peers[:3] {
			w.cut.move(p.Addr(), 0)
		}
		began := time.Now()
		for _, p := range peers {
			p.untilAlive(t, 6)
		}
		t.Logf("healed after %v", time.Since(began))
		if d := time.Since(began); d > time.Minute {
			t.Errorf("healed after %v", d)
		}
	})
}

// Certificates are renewed in time, connections live on, and a failed renewal
// is tried again.
func TestRenewal(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		w.life = 15 * time.Minute
		renew := func(fail int) (func(context.Context, ed25519.PublicKey) ([]byte, error), *int) {
			calls := 0
			return func(_ context.Context, key ed25519.PublicKey) ([]byte, error) {
				if calls++; calls <= fail {
					return nil, errors.New("no leader")
				}
				return w.ca.Issue(mesh.IssueRequest{PublicKey: key, Now: w.now(), Lifetime: w.life})
			}, &calls
		}
		var peers []*peer
		var calls []*int
		for i := range 3 {
			c := w.config()
			c.Dir = t.TempDir()
			if err := c.Credentials.Save(c.Dir); err != nil {
				t.Fatal(err)
			}
			f, n := renew(i * 3)
			c.Renew = f
			calls = append(calls, n)
			p := w.open(c)
			p.echo(mesh.KindRPC)
			peers = append(peers, p)
			p.AddSeeds(peers[0].Seeds())
		}
		for _, p := range peers {
			p.untilAlive(t, 3)
		}
		time.Sleep(25 * time.Minute) // renewed after about 10 and 20
		for i, p := range peers {
			if left := time.Until(p.CertificateExpires()); left < w.life/4 {
				t.Errorf("%s: its certificate is valid for %v", p.config.Name, left)
			}
			kept, err := mesh.LoadCredentials(p.config.Dir)
			if err != nil || string(kept.CertificateDER) == string(p.config.Credentials.CertificateDER) {
				t.Errorf("%s: the new certificate was not kept: %v", p.config.Name, err)
			}
			if failed := i * 3; *calls[i] <= failed {
				t.Errorf("%s: tried %d times, of which %d failed", p.config.Name, *calls[i], failed)
			}
			p.untilAlive(t, 3)
			if _, err := say(context.Background(), p, peers[(i+1)%3].Self(), mesh.KindRPC, "x"); err != nil {
				t.Error(err)
			}
		}
	})
}

// A certificate that was not renewed ends the peer's connections.
func TestExpiry(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		w.life = 10 * time.Minute
		peers := w.start(2)
		peers[0].untilAlive(t, 2)
		peers[0].echo(mesh.KindRPC)
		c, err := peers[1].Dial(context.Background(), peers[0].Self(), mesh.KindRPC)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := io.ReadAll(c); err == nil {
			t.Error("read on")
		}
		if d := time.Since(began); d < w.life-time.Minute || d > w.life+5*time.Minute {
			t.Errorf("the stream ended after %v", d)
		}
		if _, err := peers[1].Dial(context.Background(), peers[0].Self(), mesh.KindRPC); err == nil {
			t.Error("dialled with an expired certificate")
		}
	})
}

// Connections that nobody uses do not pile up.
func TestIdleConnectionsEnd(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		const n = 20
		peers := w.start(n)
		for _, p := range peers {
			p.untilAlive(t, n)
		}
		time.Sleep(2 * time.Minute)
		sum := 0
		for _, p := range peers {
			p.untilAlive(t, n)
			sum += p.Connections()
		}
		t.Logf("%d peers hold %.1f connections each", n, float64(sum)/n)
	})
}

// A member that gossips nonsense neither stops another nor brings it to
// believe in peers that are none.
func TestNonsenseInGossip(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		peers := w.start(3)
		for _, p := range peers {
			p.untilAlive(t, 3)
		}
		random := rand.New(rand.NewPCG(1, 2))
		junk := func() []byte {
			b := make([]byte, random.IntN(200))
			for i := range b {
				b[i] = byte(random.Uint32())
			}
			if len(b) > 2 {
				b[0] = byte(random.IntN(14)) // a kind of message
				b[1] = 0x80 | byte(random.IntN(16))
			}
			return b
		}
		for range 2000 {
			peers[0].SendGossip(peers[1].Self(), junk())
		}
		for range 50 {
			c, err := peers[0].Dial(context.Background(), peers[1].Self(), mesh.KindGossip)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = c.Write(junk())
			_ = c.Close()
		}
		// A descriptor that someone else signed, under another's name.
		forged, err := mesh.SignDescriptor(newIdentity(t), w.ca.MeshID(), mesh.Descriptor{Name: "forged"})
		if err != nil {
			t.Fatal(err)
		}
		peers[0].AddSeeds([]mesh.Descriptor{forged}) // signed by itself: known, never seen
		time.Sleep(time.Minute)
		for _, p := range peers {
			p.untilAlive(t, 3)
		}
		if s := peers[1].state(forged.Peer); s != "" {
			t.Errorf("the forged peer is %s", s)
		}
	})
}

// Run and Close do not wait for peers that do not answer.
func TestStopsAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		peers := w.start(3)
		peers[0].untilAlive(t, 3)
		for _, p := range peers[1:] {
			w.cut.move(p.Addr(), 1)
		}
		dialled := make(chan error)
		go func() {
			_, err := peers[0].Dial(context.Background(), peers[1].Self(), mesh.KindRPC)
			dialled <- err
		}()
		time.Sleep(15 * time.Second)
		began := time.Now()
		peers[0].stop()
		if d := time.Since(began); d > 500*time.Millisecond {
			t.Errorf("stopping took %v", d)
		}
		if err := <-dialled; err == nil {
			t.Error("dialled")
		}
	})
}

// A member whose clock is off learns why nobody talks to it.
func TestMemberWithWrongClock(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"ahead": 30 * 24 * time.Hour, "behind": -24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				right := w.start(1)[0]
				right.echo(mesh.KindRPC)
				c := w.config()
				c.Clock = off(ahead)
				wrong := w.open(c)
				wrong.AddSeeds(right.Seeds())
				_, err := say(context.Background(), wrong, right.Self(), mesh.KindRPC, "x")
				if err == nil || !strings.Contains(err.Error(), "compare the clocks") {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}
