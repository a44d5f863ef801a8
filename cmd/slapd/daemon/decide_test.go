package daemon

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/consensus"
	"github.com/slapmesh/slapmesh/consensus/voters"
	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/tunnel"
	"github.com/slapmesh/slapmesh/partition"
	"github.com/slapmesh/slapmesh/partition/catalog"
	"github.com/slapmesh/slapmesh/protocol"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// A page is a ledger for tests, in which each line is decided at once.
type page struct {
	t *testing.T
	*ledger.State
	at time.Time
}

// newPage returns the ledger of an open mesh: the first peer, an operator's,
// is op, and each of the others is of an account of its own.
func newPage(t *testing.T, strangers ...ledger.PeerID) *page {
	t.Helper()
	p := &page{t, ledger.NewState(), noon}
	p.write(ledger.System(), ledger.Found{
		Rules: ledger.CurrentRules, Secret: make([]byte, 32),
		Name: "home", ID: "m", Open: true, Account: "operator", Peer: "op", PeerName: "op", PublicKey: []byte("op"),
	})
	for _, id := range strangers {
		p.write(ledger.AsPeer("op"), ledger.Admit{Open: true, Peer: id, PublicKey: []byte(id), Name: string(id)})
	}
	return p
}

func (p *page) write(who ledger.Principal, c ledger.Command) {
	p.t.Helper()
	p.at = p.at.Add(time.Second)
	events, err := p.Decide(c, ledger.Context{At: p.Advance(p.Index()+1, p.at), Principal: who})
	if err != nil {
		p.t.Fatalf("%s: %v", c.Kind(), err)
	}
	p.Evolve(events...)
}

// publish has a peer publish a profile, and returns its digest.
func (p *page) publish(by ledger.PeerID, name, version, content string) ledger.ReleaseDigest {
	p.t.Helper()
	d := ledger.DigestOf([]byte(content))
	p.write(ledger.AsPeer(by), ledger.Publish{Digest: d, Profile: []byte(content), Name: name, Version: version, Types: []string{"default"}})
	return d
}

// place has a peer request an instance on its own computer, and that report
// it started on port 1000.
func (p *page) place(by ledger.PeerID, reference ledger.Reference, release ledger.ReleaseDigest, host string) ledger.Instance {
	p.t.Helper()
	p.write(ledger.AsPeer(by), ledger.Offer{Partitions: 5, Name: string(by), Host: host})
	p.write(ledger.AsPeer(by), ledger.Request{Reference: reference, Release: release, Filter: map[string]string{"computer": string(by)}})
	peer, _ := p.Peer(by)
	i, _ := p.InstanceByReference(peer.Account, reference)
	p.write(ledger.AsPeer(by), ledger.Report{Instances: []ledger.InstanceReport{{
		ID: i.ID, Generation: i.Generation, State: ledger.InstanceStarted, Ports: map[string]uint16{"main": 1000},
	}}})
	i, _ = p.InstanceByReference(peer.Account, reference)
	return i
}

func TestPresence(t *testing.T) {
	leads := noon
	online := []ledger.Computer{{ID: "a", State: ledger.ComputerOnline}}
	lost := []ledger.Computer{{ID: "a", State: ledger.ComputerLost}}
	left := []ledger.Computer{{ID: "a", State: ledger.ComputerLeft}}
	member := func(state mesh.State, since time.Time) []mesh.Member {
		return []mesh.Member{{ID: "a", State: state, Since: since}}
	}
	for _, tc := range []struct {
		name  string
		given []ledger.Computer
		heard []mesh.Member
		when  time.Duration // since this peer leads
		then  string
	}{
		{"one that answers", online, member(mesh.StateAlive, noon), time.Hour, ""},
		{"one that is silent for a moment", online, member(mesh.StateFailed, noon.Add(time.Hour)), time.Hour + 59*time.Second, ""},
		{"one that is silent for a minute", online, member(mesh.StateFailed, noon.Add(time.Hour)), time.Hour + time.Minute, "lost a"},
		{"one that said goodbye to gossip only", online, member(mesh.StateLeft, noon), time.Minute, "lost a"},
		{"silence from before this peer led does not count", online, member(mesh.StateFailed, noon.Add(-time.Hour)), 59 * time.Second, ""},
		{"but from then on", online, member(mesh.StateFailed, noon.Add(-time.Hour)), time.Minute, "lost a"},
		{"one never heard of, at first", online, nil, 59 * time.Second, ""},
		{"one never heard of", online, nil, time.Minute, "lost a"},
		{"one that is lost already", lost, member(mesh.StateFailed, noon), time.Hour, ""},
		{"one that is back", lost, member(mesh.StateAlive, noon), 0, "back a"},
		{"one lost and never heard of", lost, nil, time.Hour, ""},
		{"one that left for good", left, member(mesh.StateAlive, noon), time.Hour, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mark := presence(tc.given, tc.heard, leads, noon.Add(tc.when))
			var got []string
			for _, id := range mark.Lost {
				got = append(got, "lost "+string(id))
			}
			for _, id := range mark.Back {
				got = append(got, "back "+string(id))
			}
			if s := strings.Join(got, ", "); s != tc.then {
				t.Errorf("marks %q, want %q", s, tc.then)
			}
		})
	}
}

func TestPresenceBound(t *testing.T) {
	many := make([]ledger.Computer, ledger.MaxMarked+5)
	for n := range many {
		many[n] = ledger.Computer{ID: ledger.ComputerID(fmt.Sprint(n)), State: ledger.ComputerOnline}
	}
	if mark := presence(many, nil, noon, noon.Add(time.Hour)); len(mark.Lost) != ledger.MaxMarked {
		t.Errorf("%d marked at once, want %d", len(mark.Lost), ledger.MaxMarked)
	}
}

func TestSilent(t *testing.T) {
	members := []mesh.Member{{ID: "d", State: mesh.StateSuspect}, {ID: "b", State: mesh.StateAlive}, {ID: "c", State: mesh.StateFailed}, {ID: "a", State: mesh.StateLeft}}
	if got := silent(members); !slices.Equal(got, []ledger.ComputerID{"a", "c", "d"}) {
		t.Errorf("silent are %v", got)
	}
	if got := silent(make([]mesh.Member, 2*ledger.MaxAvoid)); len(got) != ledger.MaxAvoid {
		t.Errorf("%d to avoid, want %d", len(got), ledger.MaxAvoid)
	}
}

func TestCandidates(t *testing.T) {
	p := newPage(t, "ann", "bob")
	p.write(ledger.AsPeer("op"), ledger.Offer{Partitions: 1, Name: "op", Labels: map[string]string{"site": "paris"}})
	p.write(ledger.AsPeer("op"), ledger.SetRole{Peer: "bob", Role: ledger.RoleVoter})
	got := map[string]voters.Candidate{}
	for _, c := range candidates(p.State, []mesh.Member{
		{ID: "op", State: mesh.StateAlive, Since: noon}, {ID: "bob", State: mesh.StateSuspect, Since: noon}, {ID: "nobody", State: mesh.StateAlive},
	}, noon.Add(time.Hour)) {
		got[c.Peer] = c
	}
	want := map[string]voters.Candidate{
		"op":  {Peer: "op", Site: "paris", Eligible: true, Reachable: true, Since: noon, Seat: 1},
		"ann": {Peer: "ann", Since: noon.Add(time.Hour)}, // nothing was heard of it since this peer leads
		"bob": {Peer: "bob", Eligible: true, Since: noon},
	}
	for id, c := range want {
		if got[id] != c {
			t.Errorf("%s is %+v, want %+v", id, got[id], c)
		}
	}
	if len(got) != len(want) {
		t.Errorf("candidates %v", got)
	}
	p.write(ledger.AsPeer("op"), ledger.RemovePeer{Peer: "bob"})
	for _, c := range candidates(p.State, []mesh.Member{{ID: "bob", State: mesh.StateAlive}, {ID: "op", State: mesh.StateLeft}}, noon) {
		if c.Eligible {
			t.Errorf("%s may vote, though it was removed or has left", c.Peer)
		}
	}
}

func TestStandingSeats(t *testing.T) {
	s := Standing{Voters: []string{"a", "b"}, Standbys: []string{"c"}, Seats: []uint64{1, 4, 3}}
	for _, tc := range []struct {
		peer string
		seat uint64
		want bool
	}{{"a", 1, true}, {"b", 4, true}, {"b", 1, false}, {"c", 3, true}, {"d", 3, false}} {
		if got := s.seats(tc.peer, tc.seat); got != tc.want {
			t.Errorf("%s has seat %d: %v, want %v", tc.peer, tc.seat, got, tc.want)
		}
	}
	if (Standing{Voters: []string{"a"}}).seats("a", 0) {
		t.Error("a seat that was not told counts")
	}
}

func TestTunnels(t *testing.T) {
	p := newPage(t, "ann", "bob")
	r := p.publish("op", "x", "1", "x")
	i := p.place("ann", "db", r, "annshost")
	p.place("bob", "db", r, "bobshost")
	p.write(ledger.AsPeer("op"), ledger.CreateToken{ID: "t", Digest: make([]byte, 32), Role: ledger.RoleComputer, Uses: 9, Expires: noon.Add(time.Hour), Account: "peer-ann"})
	p.write(ledger.AsPeer("op"), ledger.Admit{TokenDigest: make([]byte, 32), Peer: "laptop", PublicKey: []byte("laptop"), Name: "laptop"})
	there := fmt.Sprintf("[{%s:1000 false ann}]", i.Address)
	check := func(what string, self ledger.PeerID, host, want string) {
		t.Helper()
		if got := fmt.Sprint(tunnels(p.State, self, host, false)); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	check("another peer of the account", "laptop", "elsewhere", there)
	check("one that does not know its host", "laptop", "", there)
	check("one that shares the loopback", "laptop", "annshost", "[]")
	check("the computer itself", "ann", "annshost", "[]")
	check("another account", "op", "elsewhere", "[]")
	check("nobody", "stranger", "elsewhere", "[]")
	p.write(ledger.AsPeer("ann"), ledger.SetState{Reference: "db", State: ledger.InstanceStopped})
	check("a stopped instance", "laptop", "elsewhere", "[]")
}

func TestMayReach(t *testing.T) {
	p := newPage(t, "ann", "bob", "eve")
	r := p.publish("op", "x", "1", "x")
	i := p.place("ann", "db", r, "")
	at := netip.AddrPortFrom(i.Address, 1000)
	p.write(ledger.AsPeer("op"), ledger.RemovePeer{Peer: "eve"})
	for _, tc := range []struct {
		name string
		here ledger.ComputerID
		peer mesh.PeerID
		to   netip.AddrPort
		want string // "" if it may
	}{
		{"of the account", "ann", "ann", at, ""},
		{"an operator", "ann", "op", at, ""},
		{"another account", "ann", "bob", at, "not of account"},
		{"who was removed", "ann", "eve", at, "not a member"},
		{"who is not known", "ann", "who", at, "not a member"},
		{"a port that is not published", "ann", "ann", netip.AddrPortFrom(i.Address, 22), "no instance"},
		{"another address", "ann", "ann", netip.AddrPortFrom(i.Address.Next(), 1000), "no instance"},
		{"the loopback", "ann", "ann", netip.MustParseAddrPort("127.0.0.1:1000"), "no instance"},
		{"through another computer", "bob", "ann", at, "no instance"},
	} {
		err := mayReach(p.State, tc.here, tc.peer, tunnel.Want{Address: tc.to})
		if got := fmt.Sprint(err); (err == nil) != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestOffered(t *testing.T) {
	c := ledger.Computer{Name: "n", Partitions: 3, Grade: "bwrap", Arch: "amd64", Host: "h", Labels: map[string]string{"k": "v"}, State: ledger.ComputerOnline}
	o := ledger.Offer{Name: "n", Partitions: 3, Grade: "bwrap", Arch: "amd64", Host: "h", Labels: map[string]string{"k": "v"}}
	if !offered(c, o) {
		t.Error("the same again is not the same")
	}
	lost := c
	lost.State = ledger.ComputerLost
	if !offered(lost, o) {
		t.Error("a lost computer is offered anew: it is the leader who says that it is back")
	}
	for name, change := range map[string]func(*ledger.Computer, *ledger.Offer){
		"partitions":      func(_ *ledger.Computer, o *ledger.Offer) { o.Partitions = 4 },
		"a label":         func(_ *ledger.Computer, o *ledger.Offer) { o.Labels = map[string]string{"k": "w"} },
		"no labels":       func(_ *ledger.Computer, o *ledger.Offer) { o.Labels = nil },
		"grade":           func(_ *ledger.Computer, o *ledger.Offer) { o.Grade = "plain" },
		"name":            func(_ *ledger.Computer, o *ledger.Offer) { o.Name = "m" },
		"host":            func(_ *ledger.Computer, o *ledger.Offer) { o.Host = "i" },
		"one that left":   func(c *ledger.Computer, _ *ledger.Offer) { c.State = ledger.ComputerLeft },
		"the computer is": func(c *ledger.Computer, _ *ledger.Offer) { c.Arch = "arm64" },
	} {
		c, o := c, o
		change(&c, &o)
		if offered(c, o) {
			t.Errorf("%s: another offer counts as the same", name)
		}
	}
}

func TestOrdersOf(t *testing.T) {
	wanted := func(generation uint64, requested ledger.SupplyState) partition.Wanted {
		return partition.Wanted{
			Instances: []ledger.Instance{{ID: 7, Generation: generation}},
			Supplies:  []ledger.Supply{{Release: "r", Requested: requested}},
		}
	}
	was := ordersOf(wanted(1, ledger.SupplyAvailable))
	if !slices.Equal(was, ordersOf(wanted(1, ledger.SupplyAvailable))) {
		t.Error("the same wishes differ")
	}
	if slices.Equal(was, ordersOf(wanted(2, ledger.SupplyAvailable))) || slices.Equal(was, ordersOf(wanted(1, ledger.SupplyDestroyed))) || slices.Equal(was, nil) {
		t.Error("another wish is not told from the last")
	}
}

func TestParseTTL(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": time.Hour, "30m": 30 * time.Minute, "1h": time.Hour, "7d": 7 * 24 * time.Hour, "3650d": 3650 * 24 * time.Hour,
	} {
		if got, err := parseTTL(text); got != want || err != nil {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"0", "0h", "-1h", "-7d", "d", "7 d", "7d1h", "7days", "forever", "3651d", "99999999999999999999d", "1e3h"} {
		got, err := parseTTL(text)
		if protocol.CodeOf(err) != protocol.ErrInvalid || !strings.Contains(err.Error(), "7d") {
			t.Errorf("%q is %v, %v; want a refusal that shows what is expected", text, got, err)
		}
	}
}

func TestKnownRelease(t *testing.T) {
	p := newPage(t, "ann", "bob", "eve")
	eves := p.publish("eve", "cache", "1", "eve's")
	digest := func(account ledger.AccountName, version string) ledger.ReleaseDigest {
		r, _ := knownRelease(p.State, account, "cache", version, version != "")
		return r.Digest
	}
	check := func(what string, account ledger.AccountName, version string, want ledger.ReleaseDigest) {
		t.Helper()
		if got := digest(account, version); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	check("where nobody else has one", "peer-ann", "1", eves)
	check("a version that nobody has", "peer-ann", "2", "")
	bobs := p.publish("bob", "cache", "1", "bob's")
	check("of strangers the first", "peer-ann", "1", eves)
	check("one's own", "peer-bob", "1", bobs)
	operators := p.publish("op", "cache", "1", "the operator's")
	check("the operator's before strangers'", "peer-ann", "1", operators)
	check("the same without a version", "peer-ann", "", operators)
	p.publish("eve", "cache", "1", "eve's second")
	check("whatever strangers publish later", "peer-ann", "1", operators)
	newer := p.publish("op", "cache", "1", "the operator's second")
	check("the operator's latest", "peer-ann", "1", newer)
	anns := p.publish("ann", "cache", "1", "ann's")
	check("one's own before the operator's", "peer-ann", "1", anns)
	check("one's own, without a version", "peer-bob", "", bobs)
}

func TestResolve(t *testing.T) {
	p := newPage(t, "ann", "eve")
	eves := p.publish("eve", "memcached", "1.6", "eve's cache")
	mine := p.publish("ann", "mine", "2", "ann's")
	shipped, _ := catalog.Lookup("memcached")
	ours := p.publish("eve", "memcached", "1.6", string(shipped.Bundle.Encode()))
	p.publish("eve", "memcached", "1.6", "eve's other cache") // the name means this to eve
	s := &service{}
	resolve := func(named string, was ledger.Instance, exists bool) (resolved, error) {
		return s.resolve(t.Context(), p.State, "peer-ann", named, was, exists)
	}
	was := ledger.Instance{Release: mine, ReleaseName: "mine"}
	for _, tc := range []struct {
		name   string
		named  string
		exists bool
		want   resolved
		code   protocol.Code
	}{
		{"nothing, for an instance", "", true, resolved{mine, false, nil}, ""},
		{"its name, for an instance", "mine", true, resolved{mine, false, nil}, ""},
		{"its name and version, for an instance", "mine@2", true, resolved{mine, true, nil}, ""},
		{"nothing, for a new one", "", false, resolved{}, protocol.ErrInvalid},
		{"a name that the ledger knows", "mine", false, resolved{mine, false, nil}, ""},
		{"a name that the catalogue has, whatever strangers call so", "memcached", false, resolved{ours, false, nil}, ""},
		{"the same with its version", "memcached@1.6", false, resolved{ours, true, nil}, ""},
		{"a digest", string(eves), false, resolved{eves, true, nil}, ""},
		{"a digest that is not published", "sha256:00", false, resolved{}, protocol.ErrNotFound},
		{"a version that nobody has", "mine@3", false, resolved{}, protocol.ErrNotFound},
		{"a version that the catalogue has not", "memcached@9", false, resolved{}, protocol.ErrNotFound},
		{"a name that nobody knows", "oracle", false, resolved{}, protocol.ErrNotFound},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := resolve(tc.named, was, tc.exists)
			if got != tc.want || protocol.CodeOf(err) != tc.code {
				t.Errorf("%q is %v, %v; want %v, %q", tc.named, got, err, tc.want, tc.code)
			}
		})
	}
}

func TestWireError(t *testing.T) {
	if wireError(nil) != nil {
		t.Error("nil is an error")
	}
	refusal := fmt.Errorf("propose: %w", &ledger.Refusal{Code: ledger.ErrExhausted, Detail: "no partition"})
	if err := wireError(refusal); protocol.CodeOf(err) != protocol.ErrExhausted || !strings.Contains(err.Error(), "no partition") {
		t.Errorf("a refusal: %v", err)
	}
	if err := wireError(fmt.Errorf("x: %w", consensus.ErrAmbiguous)); protocol.CodeOf(err) != protocol.ErrUnavailable || !strings.Contains(err.Error(), "may or may not") {
		t.Errorf("an unknown outcome: %v", err)
	}
	for _, fault := range []error{errors.New("disk"), &ledger.Refusal{Code: ledger.ErrInternal, Detail: "internal error"}} {
		if err := wireError(fault); protocol.CodeOf(err) != "" {
			t.Errorf("a fault of ours has the code %q", protocol.CodeOf(err))
		}
	}
}
