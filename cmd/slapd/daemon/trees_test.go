package daemon

import (
	"slices"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/ledger"
)

// TestBelieves is about whose trees a computer runs: in an open mesh not those
// of strangers.
func TestBelieves(t *testing.T) {
	p := newPage(t, "ann", "bob")
	for _, test := range []struct {
		self, builder ledger.PeerID
		fault         string
	}{
		{"ann", "op", ""},
		{"ann", "ann", ""},
		{"ann", "bob", "in an open mesh"},
		{"op", "ann", "in an open mesh"},
		{"ann", "nobody", "not of this mesh"},
	} {
		err := believes(p.State, test.self, test.builder)
		if test.fault == "" && err != nil || test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)) {
			t.Errorf("%s believes %s: %v, want %q", test.self, test.builder, err, test.fault)
		}
	}
	p.write(ledger.AsPeer("op"), ledger.RemovePeer{Peer: "bob"})
	if err := believes(p.State, "bob", "bob"); err == nil || !strings.Contains(err.Error(), "removed") {
		t.Errorf("who was removed is believed: %v", err)
	}
}

// TestOrderedOn is about what a peer may fetch: what the ledger orders for its
// computer, and nothing else.
func TestOrderedOn(t *testing.T) {
	p := newPage(t, "ann", "bob")
	for _, peer := range []ledger.PeerID{"op", "ann", "bob"} {
		p.write(ledger.AsPeer(peer), ledger.Offer{Name: string(peer), Partitions: 2})
	}
	one, two := p.publish("op", "one", "1", "one"), p.publish("op", "two", "1", "two")
	p.write(ledger.AsPeer("ann"), ledger.SetSupply{Computer: "ann", Release: one, Requested: ledger.SupplyAvailable})
	p.write(ledger.AsPeer("ann"), ledger.SetSupply{Computer: "ann", Release: two, Requested: ledger.SupplyAvailable})
	p.write(ledger.AsPeer("ann"), ledger.SetSupply{Computer: "ann", Release: two, Requested: ledger.SupplyDestroyed})
	if got := orderedOn(p.State, "ann"); !slices.Equal(got, []ledger.ReleaseDigest{one}) {
		t.Errorf("ann may have %v, want %v", got, one)
	}
	if got := orderedOn(p.State, "bob"); len(got) > 0 {
		t.Errorf("bob may have %v", got)
	}
}
