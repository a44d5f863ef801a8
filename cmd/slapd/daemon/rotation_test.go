package daemon

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/protocol"
)

// intrude tries to get into the mesh with a certificate that the holder of an
// old key signed, and returns whom it reached.
func (w *world) intrude(ca *mesh.CA, as *mesh.Identity, seeds []mesh.Descriptor, targets ...*testPeer) (reached []string) {
	w.t.Helper()
	der := must(ca.Issue(mesh.IssueRequest{PublicKey: as.PublicKey(), Now: time.Now(), Keeper: true}))
	m, err := mesh.Open(mesh.Config{
		Identity: as, Credentials: mesh.Credentials{CertificateDER: der, CADER: ca.CertificateDER(), MeshName: ca.Name()},
		Socket: w.socket(), Name: "intruder", Clock: time.Now,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() { _ = m.Run(ctx) })
	m.AddSeeds(seeds)
	time.Sleep(20 * time.Second)
	for _, p := range targets {
		if c, err := m.Dial(ctx, p.id(), mesh.KindRPC); err == nil {
			_ = c.Close()
			reached = append(reached, p.name)
		}
		d, _ := p.running()
		if slices.ContainsFunc(d.mesh.Members(), func(o mesh.Member) bool { return o.ID == as.ID() && o.State == mesh.StateAlive }) {
			reached = append(reached, "the list of "+p.name)
		}
	}
	cancel()
	_ = m.Close()
	wg.Wait()
	return reached
}

// TestRotateCA replaces the CA of a running mesh, after a voter was removed
// that knew the key, while two peers are off: one of them for longer than the
// former CA counts.
func TestRotateCA(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		ctx := t.Context()
		a, b := w.twoPeers()
		voter := a.token(protocol.TokenInput{Role: protocol.RoleVoter, Uses: 2})
		c, d := w.join(a, voter, 2), w.join(b, voter, 2)
		computer := a.token(protocol.TokenInput{Role: protocol.RoleComputer, Uses: 9, TTL: "30d"})
		e, f := w.join(a, computer, 2), w.join(b, computer, 2)
		bearer := a.token(protocol.TokenInput{Role: protocol.RoleUser, TTL: "30d"})
		w.eventually(3*time.Minute, "three voters, six members", func() bool {
			for _, p := range w.peers {
				if s := p.status(); s.Members != 6 || len(s.Voters) != 3 {
					return false
				}
			}
			return true
		})
		id := a.status().MeshID
		key := func(p *testPeer) *mesh.CA {
			ca, err := mesh.LoadCA(p.config.Dir, must(mesh.LoadOrCreateIdentity(p.config.Dir)))
			if err != nil {
				return nil
			}
			return ca
		}
		w.eventually(time.Minute, "the third holds the key", func() bool { return key(c) != nil })
		old := key(c)
		thief := must(mesh.LoadOrCreateIdentity(c.config.Dir))

		e.stop()
		f.stop()
		if err := a.ask().RemoveMember(ctx, string(c.id())); err != nil {
			t.Fatal(err)
		}
		w.eventually(time.Minute, "it has ended", func() bool {
			d, _ := c.running()
			select {
			case <-d.stopping:
				return true
			default:
				return false
			}
		})
		_ = c.ended()

		w.eventually(time.Minute, "the others have a quorum", func() bool { return a.status().Quorum && len(a.status().Voters) == 3 })
		r, err := d.ask().RotateCA(ctx, protocol.RotationInput{Grace: "1h"})
		if err != nil || r.Holders != 3 {
			t.Fatalf("%+v, %v", r, err)
		}
		fresh := func(p *testPeer) bool {
			d, _ := p.running()
			return mesh.Fingerprint(d.mesh.Digest()).String() == r.Fingerprint
		}
		took := w.eventually(time.Minute, "all that run have certificates of the new CA", func() bool { return fresh(a) && fresh(b) && fresh(d) })
		w.logf("all have certificates of the new CA after %v", took)
		w.eventually(time.Minute, "the voters hold its key, and no other", func() bool {
			for _, p := range []*testPeer{a, b, d} {
				ca := key(p)
				_, err := os.Stat(filepath.Join(p.config.Dir, "ca.next"))
				if ca == nil || mesh.Fingerprint(ca.Digest()).String() != r.Fingerprint || err == nil {
					return false
				}
			}
			return true
		})
		if a.status().MeshID != id || !a.status().Quorum {
			t.Errorf("%+v", a.status())
		}

		ad, _ := a.running()
		stranger := must(mesh.NewIdentity(zeros{}))
		intruders := func(when string) {
			t.Helper()
			for name, as := range map[string]*mesh.Identity{"who was removed": thief, "a stranger": stranger} {
				if reached := w.intrude(old, as, ad.mesh.Seeds(), a, b, d); len(reached) > 0 {
					t.Errorf("%s: with the old key %s reached %v", when, name, reached)
				}
			}
		}
		intruders("in the time of grace")

		e.run()
		w.logf("one that was off is back after %v", w.eventually(time.Minute, "it is back", func() bool {
			return e.status().Quorum && fresh(e) && a.status().Members == 4
		}))
		g := w.join(a, computer, 2) // an old token
		if !fresh(g) {
			t.Error("who joined with an old token does not know the new CA")
		}
		w.eventually(time.Minute, "an old token for asking counts", func() bool {
			_, err := a.bearer(bearer).Instances(ctx, protocol.InstanceQuery{})
			return err == nil
		})

		time.Sleep(2 * time.Hour)
		intruders("after it")
		// Who was off since before the rotation may also be invited anew, in its old folder; to
		// another mesh it may not.
		h := w.found(FoundOptions{Mesh: "other"}, 0)
		says(t, f.join(h, h.token(protocol.TokenInput{Role: protocol.RoleComputer})), "", "belongs to mesh home", "the invitation is to another", "--dir")
		if err := f.join(b, a.token(protocol.TokenInput{Role: protocol.RoleComputer})); err != nil {
			t.Error(err)
		}
		_, err = a.bearer(bearer).Instances(ctx, protocol.InstanceQuery{})
		says(t, err, protocol.ErrUnauthorized, "was replaced", "token create")
		late := w.newPeer(2)
		says(t, late.join(b, computer), "", "was replaced", "ask for a new one")
		if err := late.join(b, a.token(protocol.TokenInput{Role: protocol.RoleComputer})); err != nil {
			t.Error(err)
		}
		f.run()
		w.logf("one that was off for longer is back after %v", w.eventually(5*time.Minute, "it is back", func() bool {
			return f.status().Quorum && fresh(f) && a.status().Members == 6
		}))
		if _, err := f.ask().Request(ctx, protocol.RequestInput{Reference: "x", Release: "memcached"}); err != nil {
			t.Error(err)
		}
	})
}
