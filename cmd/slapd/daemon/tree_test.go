package daemon

import (
	"slices"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/protocol"
)

// TestTree is a tree over the computers of two accounts. The computer on which
// an instance runs requests another for it, as the peer that it is, and sees
// of that what a requester sees. The tree stops, starts, moves, is kept for a
// while and ends.
func TestTree(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		first := w.found(FoundOptions{Mesh: "home"}, 4)
		w.eventually(10*time.Second, "a quorum of one", func() bool { return first.status().Quorum && first.status().Account != "" })
		ann := w.join(first, first.token(protocol.TokenInput{Role: protocol.RoleComputer, Account: "ann"}), 4)
		bob := w.join(first, first.token(protocol.TokenInput{Role: protocol.RoleComputer, Account: "bob"}), 4)
		dora := first.bearer(first.token(protocol.TokenInput{Role: protocol.RoleUser, Account: "dora", TTL: "1d"}))
		ctx := t.Context()
		w.eventually(time.Minute, "three computers", func() bool {
			return len(slices.Collect(first.view().Computers())) == 3
		})
		on := func(p *testPeer) map[string]string { return map[string]string{"computer": string(p.id())} }
		is := func(ref string, ok func(protocol.Instance) bool) protocol.Instance {
			t.Helper()
			var i protocol.Instance
			var err error
			for range 1200 {
				if i, err = dora.Instance(ctx, protocol.Ref{Reference: ref}); err == nil && ok(i) {
					return i
				}
				time.Sleep(100 * time.Millisecond)
			}
			t.Fatalf("%s is not as it should be: %v, %+v", ref, err, i)
			return i
		}
		settled := func(i protocol.Instance) bool { return i.Settled() }
		must := func(i protocol.Instance, err error) protocol.Instance {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			return i
		}

		must(dora.Request(ctx, protocol.RequestInput{Reference: "shop", Release: "redis", Filter: on(ann)}))
		shop := is("shop", settled)
		id := ledger.InstanceID(shop.ID).String()

		child := protocol.RequestInput{Reference: "db", Release: "memcached", Parent: id, Filter: on(bob)}
		if _, err := bob.ask().Request(ctx, child); protocol.CodeOf(err) != protocol.ErrNotFound {
			t.Errorf("a computer requests for an instance that is not its: %v", err)
		}
		db := must(ann.ask().Request(ctx, child))
		if db.Account != "dora" || len(db.Filter) > 0 || db.Computer != string(bob.id()) {
			t.Errorf("the requester sees %+v", db)
		}
		db = is("shop/db", settled)
		if db.Parent != "shop" || db.Root != "shop" || len(db.Filter) == 0 {
			t.Errorf("the account sees %+v", db)
		}
		w.eventually(time.Minute, "the requester's computer sees what its child published", func() bool {
			i, ok := ann.view().Child(ledger.InstanceID(shop.ID), "db")
			return ok && i.Connection["url"] == db.Connection["url"] && i.Filter == nil
		})
		if now := is("shop", settled); !now.Timestamp.After(shop.Timestamp) || now.Generation != shop.Generation {
			t.Errorf("the parent's timestamp is %v, was %v; its generation %d, was %d", now.Timestamp, shop.Timestamp, now.Generation, shop.Generation)
		}
		if _, err := ann.ask().Instance(ctx, protocol.Ref{Reference: "shop/db", Account: "dora"}); protocol.CodeOf(err) != protocol.ErrForbidden {
			t.Errorf("a computer looks at what is not its account's: %v", err)
		}
		must(ann.ask().Bang(ctx, protocol.Ref{Reference: id}, protocol.BangInput{Message: "look"}))

		must(dora.SetState(ctx, protocol.Ref{Reference: "shop"}, protocol.RequestStopped))
		if db := is("shop/db", settled); db.State != protocol.StateStopped || db.AskedState != protocol.RequestStarted {
			t.Errorf("with its parent stopped, the child is %s, %s asked", db.State, db.AskedState)
		}
		is("shop", settled)
		moved := must(dora.Move(ctx, protocol.Ref{Reference: "shop"}, protocol.MoveInput{Filter: on(bob), DiscardData: true}))
		if moved.Reference != "shop" || moved.ID == shop.ID || moved.Computer != string(bob.id()) {
			t.Errorf("moved to %+v", moved)
		}
		must(dora.SetState(ctx, protocol.Ref{Reference: "shop"}, protocol.RequestStarted))
		is("shop", settled)
		is("shop/db", func(i protocol.Instance) bool { return i.State == protocol.StateStarted && i.Parent == "shop" })
		w.eventually(time.Minute, "the old computer is empty", func() bool { return len(ann.host.runs()) == 0 })
		if _, err := ann.ask().Request(ctx, child); protocol.CodeOf(err) != protocol.ErrNotFound {
			t.Errorf("the old computer still requests: %v", err)
		}

		must(dora.Destroy(ctx, protocol.Ref{Reference: "shop"}, "1h"))
		time.Sleep(time.Minute)
		if i := is("shop", settled); i.State != protocol.StateStopped || i.KeptUntil == nil {
			t.Errorf("what is kept is %s until %v", i.State, i.KeptUntil)
		}
		time.Sleep(time.Hour)
		is("shop", func(i protocol.Instance) bool { return i.State == protocol.StateDestroyed })
		w.eventually(time.Minute, "nothing is left", func() bool {
			all, err := dora.Instances(ctx, protocol.InstanceQuery{})
			return err == nil && len(all) == 0
		})
		for _, p := range []*testPeer{first, ann, bob} {
			if slices.Concat(p.host.faults) != nil {
				t.Errorf("%s: %v", p.name, p.host.faults)
			}
		}
	})
}
