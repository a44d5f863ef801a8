package mesh_test

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
)

// calendar makes the world's clock one that can be set forward.
func (w *world) calendar() (forward func(time.Duration)) {
	var ahead atomic.Int64
	w.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	return func(d time.Duration) { ahead.Add(int64(d)) }
}

const day = 24 * time.Hour

// renewing is a member that renews while its certificate is valid, as one that
// can ask the leader does.
func (w *world) renewing() mesh.Config {
	c := w.config()
	c.Dir = w.t.TempDir()
	if err := c.Credentials.Save(c.Dir); err != nil {
		w.t.Fatal(err)
	}
	c.Renew = func(_ context.Context, key ed25519.PublicKey) ([]byte, error) {
		kept, err := mesh.LoadCredentials(c.Dir)
		if err != nil {
			return nil, err
		}
		if expired(w.t, kept, w.now()) {
			return nil, errors.New("the others refuse us")
		}
		return w.ca.Issue(mesh.IssueRequest{PublicKey: key, Now: w.now(), Lifetime: w.life})
	}
	return c
}

// again is the configuration of a peer that was stopped, for another run at
// the address.
func (w *world) again(c mesh.Config, at *net.UDPAddr) mesh.Config {
	w.t.Helper()
	kept, err := mesh.LoadCredentials(c.Dir)
	if err != nil {
		w.t.Fatal(err)
	}
	c.Credentials, c.Socket = kept, w.socketAt(at)
	return c
}

// A computer that was off for 200 days, so that its certificate expired long
// ago, comes back with its key alone, also at another address. The others
// renewed theirs meanwhile.
func TestReturnAfterMonths(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		forward := w.calendar()
		w.life = 60 * day
		var peers []*peer
		for range 3 {
			p := w.open(w.renewing())
			peers = append(peers, p)
			p.AddSeeds(peers[0].Seeds())
		}
		for _, p := range peers {
			p.untilAlive(t, 3)
		}
		away := peers[2]
		away.stop()
		for range 5 { // renewal looks at the clock once an hour
			forward(40 * day)
			time.Sleep(61 * time.Minute)
		}
		back := w.open(w.again(away.config, &net.UDPAddr{IP: net.IPv4(10, 0, 9, 9).To4(), Port: 7527}))
		back.untilAlive(t, 3)
		peers[0].untilAlive(t, 3)
		if left := back.CertificateExpires().Sub(w.now()); left < 59*day {
			t.Errorf("the new certificate is valid for %v", left)
		}
		if w.readmits == 0 || len(w.admits) != 0 {
			t.Errorf("%d came back with their key, %d joined", w.readmits, len(w.admits))
		}
		kept, err := mesh.LoadCredentials(back.config.Dir)
		if err != nil || expired(t, kept, w.now()) {
			t.Errorf("the new certificate was not kept: %v", err)
		}
	})
}

// Who was removed while it was off is told so at the door, and gets nothing.
func TestReturnOfTheRemoved(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		forward := w.calendar()
		stays, c := w.open(w.config()), w.renewing()
		told := make(chan mesh.PeerID, 100)
		c.Removed = func(by mesh.PeerID) {
			select {
			case told <- by:
			default:
			}
		}
		away := w.open(c)
		away.AddSeeds(stays.Seeds())
		away.untilAlive(t, 2)
		away.stop()
		w.mu.Lock()
		w.revoked[away.Self()] = true
		w.mu.Unlock()
		forward(30 * day)
		stays.stop()
		at := stays.config
		at.Credentials, at.Socket = w.credentials(at.Identity), w.socketAt(stays.Addr().(*net.UDPAddr))
		stays = w.open(at)
		back := w.open(w.again(away.config, away.Addr().(*net.UDPAddr)))
		if by := <-told; by != stays.Self() {
			t.Errorf("told by %s, not %s", by, stays.Self())
		}
		if !back.Expired() || w.readmits != 0 {
			t.Errorf("a removed peer got a certificate until %s", back.CertificateExpires())
		}
	})
}

// A refusal, or no answer at all, is no end: the door is asked again.
func TestReturnIsTriedAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		forward := w.calendar()
		stays, away := w.open(w.config()), w.open(w.renewing())
		away.AddSeeds(stays.Seeds())
		away.untilAlive(t, 2)
		away.stop()
		stays.stop()
		forward(30 * day)
		back := w.open(w.again(away.config, away.Addr().(*net.UDPAddr))) // nobody is there
		time.Sleep(5 * time.Minute)
		w.mu.Lock()
		w.refuse = "no majority of voters answers: try again"
		w.mu.Unlock()
		at := stays.config
		at.Credentials, at.Socket = w.credentials(at.Identity), w.socketAt(stays.Addr().(*net.UDPAddr))
		w.open(at)
		time.Sleep(5 * time.Minute)
		if !back.Expired() {
			t.Fatal("renewed by nobody")
		}
		w.mu.Lock()
		w.refuse = ""
		w.mu.Unlock()
		if d := back.untilAlive(t, 2); d > time.Minute {
			t.Errorf("back after %v", d)
		}
	})
}

// All known peers have moved, while a peer was off for an hour or for months:
// it finds them on the local network.
func TestReturnByDiscovery(t *testing.T) {
	for name, off := range map[string]time.Duration{"an hour": time.Hour, "200 days": 200 * day} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				forward := w.calendar()
				stays, away := w.open(w.config()), w.open(w.renewing())
				away.AddSeeds(stays.Seeds())
				away.untilAlive(t, 2)
				away.stop()
				stays.stop()
				forward(off)
				at := stays.config
				at.Credentials, at.Socket = w.credentials(at.Identity), w.socketAt(&net.UDPAddr{IP: net.IPv4(10, 0, 7, 7).To4(), Port: 7527})
				moved := w.open(at)
				c := w.again(away.config, &net.UDPAddr{IP: net.IPv4(10, 0, 8, 8).To4(), Port: 7527})
				c.Discover = func(context.Context) []string { return []string{moved.Addr().String()} }
				back := w.open(c)
				if d := back.untilAlive(t, 2); d > time.Minute {
					t.Errorf("back after %v", d)
				}
			})
		})
	}
}

func expired(t *testing.T, c mesh.Credentials, now time.Time) bool {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.CertificateDER)
	if err != nil {
		t.Fatal(err)
	}
	return now.After(leaf.NotAfter)
}
