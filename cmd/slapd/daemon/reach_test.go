package daemon

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/tunnel"
	"github.com/slapmesh/slapmesh/partition"
)

// ask has who request a started instance on a computer, which reports port
// 1000. Parent may be 0.
func (p *page) ask(who ledger.Principal, on ledger.PeerID, account ledger.AccountName, c ledger.Request) ledger.Instance {
	p.t.Helper()
	c.Filter = map[string]string{"computer": string(on)}
	p.write(who, c)
	i, ok := p.InstanceByReference(account, c.Reference)
	if c.Parent != 0 {
		for i = range p.Children(c.Parent) {
			ok = true
		}
	}
	if !ok {
		p.t.Fatalf("no instance %s of %s", c.Reference, account)
	}
	p.write(ledger.AsPeer(on), ledger.Report{Instances: []ledger.InstanceReport{{
		ID: i.ID, Generation: i.Generation, State: ledger.InstanceStarted, Ports: map[string]uint16{"main": 1000},
	}}})
	i, _ = p.Instance(i.ID)
	return i
}

// TestEntrances is about who may connect to what, on the computer of ann, on
// which the instances of a stranger run too.
func TestEntrances(t *testing.T) {
	p := newPage(t, "ann", "bob", "eve")
	r := p.publish("op", "x", "1", "x")
	for _, peer := range []ledger.PeerID{"ann", "bob", "eve"} {
		p.write(ledger.AsPeer(peer), ledger.Offer{Partitions: 9, Name: string(peer), Host: string(peer) + "shost"})
	}
	account := func(peer ledger.PeerID) ledger.AccountName {
		a, _ := p.Peer(peer)
		return a.Account
	}
	plain := ledger.Request{Reference: "own", Release: r}
	own := p.ask(ledger.AsPeer("ann"), "ann", account("ann"), plain)
	plain.Reference = "far"
	far := p.ask(ledger.AsPeer("ann"), "bob", account("ann"), plain)
	plain.Reference = "theirs"
	theirs := p.ask(ledger.AsPeer("eve"), "ann", account("eve"), plain)
	naming := func(addresses ...netip.Addr) map[string]json.RawMessage {
		b, err := json.Marshal(fmt.Sprintf("first mysql://u:p@%v:1000/db", addresses))
		if err != nil {
			t.Fatal(err)
		}
		return map[string]json.RawMessage{"db": b}
	}
	client := p.ask(ledger.AsPeer("ann"), "ann", account("ann"), ledger.Request{
		Reference: "client", Release: r, Parameters: naming(own.Address, far.Address, theirs.Address, netip.MustParseAddr("127.64.255.254")),
	})
	thief := p.ask(ledger.AsPeer("eve"), "ann", account("eve"), ledger.Request{
		Reference: "thief", Release: r, Parameters: naming(own.Address, far.Address),
	})
	child := p.ask(ledger.AsPeer("ann"), "bob", account("ann"), ledger.Request{Reference: "db", Release: p.publish("op", "y", "1", "y"), Parent: own.ID})

	names := map[ledger.InstanceID]string{0: "computer", own.ID: "own", far.ID: "far", theirs.ID: "theirs", client.ID: "client", thief.ID: "thief", child.ID: "child"}
	show := func(self ledger.PeerID, host string, ports map[ledger.InstanceID]partition.Result) string {
		var out []string
		for _, e := range entrances(p.State, ledger.ComputerID(self), host, ports) {
			out = append(out, fmt.Sprintf("%s>%s:%d@%s", names[e.within], names[e.to], e.at.Port(), e.peer))
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	for _, tc := range []struct {
		what  string
		self  ledger.PeerID
		host  string
		ports map[ledger.InstanceID]partition.Result
		want  string
	}{
		{
			"on the computer of ann", "ann", "annshost", nil,
			"client>far:1000@bob client>own:1000@ann computer>client:1000@ann computer>own:1000@ann own>child:1000@bob",
		},
		{"which bob's child may call back", "bob", "", nil, "child>own:1000@ann"},
		{
			"and which eve's peer shares", "ann", "eveshost", nil,
			"client>far:1000@bob client>own:1000@ann computer>client:1000@ann computer>own:1000@ann " +
				"computer>theirs:1000@ann computer>thief:1000@ann own>child:1000@bob",
		},
		{
			"where own has other ports since a moment", "ann", "annshost",
			map[ledger.InstanceID]partition.Result{own.ID: {Ports: map[string]uint16{"a": 7}}, client.ID: {}},
			"client>far:1000@bob client>own:7@ann computer>own:7@ann own>child:1000@bob",
		},
	} {
		if got := show(tc.self, tc.host, tc.ports); got != tc.want {
			t.Errorf("%s:\n%s, want\n%s", tc.what, got, tc.want)
		}
	}

	// Who hosts an instance that may connect, may connect for it; and for no other.
	for _, tc := range []struct {
		to   ledger.Instance
		peer mesh.PeerID
		want bool
	}{{own, "bob", true}, {client, "bob", false}, {far, "eve", false}, {far, "ann", true}} {
		err := mayReach(p.State, tc.to.Computer, tc.peer, tunnel.Want{Address: netip.AddrPortFrom(tc.to.Address, 1000)})
		if (err == nil) != tc.want {
			t.Errorf("%s to %s: %v", tc.peer, names[tc.to.ID], err)
		}
	}

	p.write(ledger.AsPeer("ann"), ledger.Request{Reference: "own", Release: r, State: ledger.InstanceStopped})
	if got := show("ann", "annshost", nil); strings.Contains(got, "own") || strings.Contains(got, "child") {
		t.Errorf("after own was stopped: %s", got)
	}
}
