package daemon

import (
	"errors"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// TestQuote is a member that asks, through a voter, what requests would come
// to, and rules its computer, on whole peers in virtual time.
func TestQuote(t *testing.T) {
	inBubble(t, func(w *world) {
		t, ctx := w.t, w.t.Context()
		first := w.found(FoundOptions{Mesh: "home"}, 5)
		w.eventually(10*time.Second, "a quorum of one", func() bool { return first.status().Quorum && first.status().Account != "" })
		w.join(first, first.token(protocol.TokenInput{Role: protocol.RoleVoter}), 5)
		member := w.join(first, first.token(protocol.TokenInput{Role: protocol.RoleComputer, Account: "ann"}), 5)
		w.eventually(time.Minute, "three computers with their capacity", func() bool {
			n := 0
			for c := range member.view().Computers() {
				if c.Cores > 0 {
					n++
				}
			}
			return n == 3
		})
		if !member.view().Partial() {
			t.Fatal("the member replicates")
		}
		if _, err := member.ask().SetPrice(ctx, protocol.PriceInput{Rates: protocol.Rates{Partition: "0.02", Core: "0.01"}}); err != nil {
			t.Fatal(err)
		}

		ask := protocol.RequestInput{Reference: "db1", Release: "memcached", Policy: "cheapest", Filter: map[string]string{"computer": member.name}, Needs: protocol.Needs{Millicores: 500}}
		q, err := member.ask().Quote(ctx, ask)
		if err != nil || q.Exists || q.Owner != "ann" || q.PriceHour != "0.025" || q.SetAside != "0.02" {
			t.Fatalf("quote: %+v, %v", q, err)
		}
		if all, err := member.ask().Instances(ctx, protocol.InstanceQuery{}); err != nil || len(all) != 0 {
			t.Errorf("after a quote: %+v, %v", all, err)
		}
		if _, published := first.view().ReleaseByName("ann", "memcached"); published {
			t.Error("a quote published what it asked about")
		}
		ask.MaxPrice = "0.02"
		if _, err = member.ask().Quote(ctx, ask); !errors.Is(err, protocol.ErrExhausted) {
			t.Errorf("too dear: %v", err)
		}
		ask.MaxPrice = ""
		for _, p := range w.peers { // who replicates and who does not
			bearer := p.token(protocol.TokenInput{Role: protocol.RoleUser, Account: map[bool]string{true: "ann"}[p == member]})
			got, err := p.bearer(bearer).Quote(ctx, ask)
			if err != nil || got.Computer != q.Computer || got.PriceHour != q.PriceHour {
				t.Errorf("at %s: %+v, %v", p.name, got, err)
			}
		}
		i, err := member.ask().Request(ctx, ask)
		if err != nil || i.Computer != q.Computer || i.Needs.Millicores != 500 {
			t.Fatalf("request: %+v, %v", i, err)
		}
		if q, err = member.ask().Quote(ctx, ask); err != nil || !q.Exists || q.Computer != i.Computer {
			t.Errorf("of what is there: %+v, %v", q, err)
		}
		w.steward(member, first)
	})
}

// steward has a member rule its computer, which goes on to offer itself.
func (w *world) steward(member, first *testPeer) {
	w.t.Helper()
	ctx := w.t.Context()
	c, err := member.ask().SetComputer(ctx, protocol.ComputerInput{Scope: "personal", Labels: map[string]string{"rack": "7"}})
	if err != nil || c.Scope != "personal" || c.Labels["rack"] != "7" {
		w.t.Fatalf("set: %+v, %v", c, err)
	}
	if c, err = member.ask().DrainComputer(ctx, protocol.DrainInput{Drained: true}); err != nil || !c.Drained {
		w.t.Errorf("drain: %+v, %v", c, err)
	}
	if _, err = first.ask().GiveComputer(ctx, protocol.GiveInput{Computer: member.name, Account: first.status().Account}); err != nil {
		w.t.Errorf("give: %v", err)
	}
	index := first.view().Index()
	time.Sleep(time.Minute)
	member.stop()
	member.run() // and offers itself again
	w.eventually(time.Minute, "the member is back", func() bool { return member.status().Quorum })
	time.Sleep(time.Minute)
	v := first.view()
	for c := range v.Computers() {
		if c.Name == member.name && (string(c.Account) != first.status().Account || !c.Drained || c.Scope != "personal" || c.Labels["rack"] != "7") {
			w.t.Errorf("after it offered itself again: %+v", c)
		}
	}
	if n := v.Index() - index; n > 60 {
		w.t.Errorf("%d entries in two minutes: something is proposed again and again", n)
	}
	if _, err = member.ask().DrainComputer(ctx, protocol.DrainInput{}); !errors.Is(err, protocol.ErrForbidden) {
		w.t.Errorf("of another's by now: %v", err)
	}
	if _, err = first.ask().RetireComputer(ctx, protocol.RetireInput{Computer: member.name}); !errors.Is(err, protocol.ErrConflict) {
		w.t.Errorf("retire with an instance: %v", err)
	}
	if c, err = first.ask().RetireComputer(ctx, protocol.RetireInput{Computer: member.name, Force: true}); err != nil || !c.Retired {
		w.t.Errorf("retire by force: %+v, %v", c, err)
	}
	w.eventually(time.Minute, "the retired computer gave its instances up", func() bool {
		all, err := member.ask().Instances(ctx, protocol.InstanceQuery{})
		return err == nil && len(all) == 0
	})
}
