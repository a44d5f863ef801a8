package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
	"github.com/slapmesh/slapmesh/ledger/placement"
)

// TestReplicasAgree drives two replicas with the same random commands, one of
// them restored from its own snapshot at random points, and the slices of
// three peers from the first. Nothing may ever differ, no partition and no
// address may be held twice, and every count must be right.
func TestReplicasAgree(t *testing.T) {
	const seeds = 20              // with as many steps: 105,000 commands, fewer under the race detector
	kinds := make(map[string]int) // of events, and of what else is to happen
	for seed := range uint64(seeds) {
		a, b := newWorld(t), newWorld(t)
		r := rand.New(rand.NewPCG(seed, 7))
		followed, told := newSlices(a), newChronicle(a.State)
		accepted := 0
		for step := range steps {
			p, c := randomCommand(r, a, step)
			a.at = a.at.Add(time.Duration(r.IntN(10)-1) * time.Second)
			b.at = a.at
			ea, erra := followed.ask(p, c)
			eb, errb := b.ask(p, c)
			if fmt.Sprint(ea, erra) != fmt.Sprint(eb, errb) {
				t.Fatalf("seed %d step %d: %#v: %v (%v) and %v (%v)", seed, step, c, ea, erra, eb, errb)
			}
			if a.Hash() != b.Hash() {
				t.Fatalf("seed %d step %d: %s: hashes differ", seed, step, c.Kind())
			}
			if err := told.read(a.State, len(ea)); err != nil {
				t.Fatalf("seed %d step %d: %s: %v", seed, step, c.Kind(), err)
			}
			if len(ea) > 0 && erra == nil {
				accepted++
			}
			a.withinQuotas(ea)
			for _, e := range ea {
				kinds[fmt.Sprintf("%T", e)]++
				for _, kind := range kindsOf(e) {
					kinds[kind]++
				}
			}
			if r.IntN(200) == 0 {
				b.State = roundTrip(t, b.State)
			}
			if r.IntN(120) == 0 {
				followed.update(r)
			}
			if step%100 == 0 {
				if err := errors.Join(a.check(), told.check(a.State)); err != nil {
					t.Fatalf("seed %d step %d: after %s: %v", seed, step, c.Kind(), err)
				}
			}
		}
		followed.update(nil)
		kinds["slices of members"] += followed.member
		if accepted < steps/5 {
			t.Errorf("seed %d: only %d of %d commands changed anything", seed, accepted, steps)
		}
	}
	for _, e := range []Event{Allocated{}, Freed{}, Billed{}, Metered{}, Paid{}, PriceSet{}, LimitSet{}, TermsSet{}, Reviewed{}, ComputerSet{}, ComputerDrained{}, ComputerRetired{}, ComputerGiven{}, ProjectCreated{}, MemberSet{}, MemberRemoved{}, ProjectDeleted{}, QuotaSet{}, AccountDisabled{}, OperatorSet{}, Renamed{}, Banged{}, Relocated{}} {
		if kind := fmt.Sprintf("%T", e); kinds[kind] == 0 {
			t.Errorf("nothing was ever %s: the random commands are not what they were meant to be", kind)
		}
	}
	for _, kind := range []string{"child", "shared", "shared with others", "kept", "held down"} {
		if kinds[kind] == 0 {
			t.Errorf("no instance was ever %s", kind)
		}
	}
	if kinds["slices of members"] == 0 {
		t.Error("no slice of a member was ever looked at")
	}
	t.Log(kinds)
}

func roundTrip(tb testing.TB, s *State) *State {
	tb.Helper()
	var stream bytes.Buffer
	if err := s.Copy().WriteSnapshot(&stream); err != nil {
		tb.Fatal(err)
	}
	restored, err := ReadSnapshot(&stream)
	if err != nil {
		tb.Fatal(err)
	}
	return restored
}

// viewers are peers whose slices are followed in random histories: they come
// and go with them.
var viewers = []PeerID{"p1", "p3", "p5"}

type followed struct {
	*world
	slices  map[PeerID]*State
	as      map[PeerID]Viewer
	pending map[PeerID][]Change
	member  int // how often a slice with a project of its account was right
}

func newSlices(w *world) *followed {
	return &followed{w, make(map[PeerID]*State), make(map[PeerID]Viewer), make(map[PeerID][]Change), 0}
}

// ask is world.ask, and remembers what changed for the slices.
func (f *followed) ask(p Principal, c Command) ([]Event, error) {
	f.Helper()
	at := f.Advance(f.Index()+1, f.at)
	events, err := f.Decide(c, Context{at, p})
	more := f.takesMore(events)
	changes := f.Evolve(events...)
	f.checkPlaced(events, more)
	for _, id := range viewers {
		f.pending[id] = append(f.pending[id], changes...)
	}
	return events, err
}

// update brings slices up to date, those that r chooses or all, and compares
// them with what they should be.
func (f *followed) update(r *rand.Rand) {
	f.Helper()
	for _, id := range viewers {
		v, err := f.Viewer(id)
		switch s := f.slices[id]; {
		case r != nil && r.IntN(2) == 0:
			continue
		case err != nil:
			delete(f.slices, id)
			f.pending[id] = nil
			continue
		case s == nil || f.as[id] != v:
			f.slices[id], f.as[id] = NewPartial(), v
			for frame := range f.FullFrames(v) {
				f.merge(id, frame)
			}
		default:
			f.merge(id, f.NextFrame(v, slices.Values(f.pending[id])))
		}
		f.pending[id] = nil
		if v.Projects != "" {
			f.member++
		}
		want, got := slices.Collect(f.Slice(v)), slices.Collect(f.slices[id].records(func(row any) (any, bool) { return row, true }))
		if string(mustEncode(want)) != string(mustEncode(got)) {
			f.Fatalf("slice of %s at %d: %s", id, f.Index(), difference(want, got))
		}
		for i := range f.slices[id].Instances(v.Account) {
			path := Reference(f.slices[id].Path(i))
			want, ok := f.InstanceByReference(v.Account, path)
			if got, _ := f.slices[id].InstanceByReference(v.Account, path); !ok || got.ID != want.ID {
				f.Fatalf("slice of %s: %s is %s, want %s", id, path, got.ID, want.ID)
			}
		}
	}
}

// difference says which rows are missing and which are too many.
func difference(want, got []Record) string {
	seen := make(map[string]int)
	for _, r := range want {
		seen[fmt.Sprintf("table %d: %q", r.Table, r.Value)]++
	}
	for _, r := range got {
		seen[fmt.Sprintf("table %d: %q", r.Table, r.Value)]--
	}
	var out strings.Builder
	for _, row := range sortedKeys(seen) {
		if n := seen[row]; n != 0 {
			fmt.Fprintf(&out, "\n%+d %s", -n, row)
		}
	}
	return out.String()
}

func (f *followed) merge(id PeerID, frame Frame) {
	f.Helper()
	var sent Frame
	if err := Unmarshal(mustEncode(frame), &sent); err != nil {
		f.Fatal(err)
	}
	if _, err := f.slices[id].Merge(sent); err != nil {
		f.Fatal(err)
	}
}

// check says what is wrong with the state, if anything is.
func (w *world) check() error {
	held := make(map[Key]InstanceID)
	addresses := make(map[netip.Addr]InstanceID)
	used := make(map[ComputerID]int)
	below := make(map[ComputerID]int)
	needs := make(map[ComputerID]Needs)
	for i := range w.AllInstances() {
		if i.Settled() {
			continue
		}
		if i.Shared {
			continue
		}
		place := gapKey(i.Computer, i.Partition)
		if other, twice := held[place]; twice {
			return fmt.Errorf("%v held by %s and %s", place, other, i.ID)
		}
		if other, twice := addresses[i.Address]; twice {
			return fmt.Errorf("%v held by %s and %s", i.Address, other, i.ID)
		}
		if found, ok := w.InstanceAt(i.Address); !ok || found.ID != i.ID {
			return fmt.Errorf("%v leads to %s, want %s", i.Address, found.ID, i.ID)
		}
		held[place], addresses[i.Address] = i.ID, i.ID
		c, ok := w.Computer(i.Computer)
		if !ok {
			return fmt.Errorf("%s is on %s, which is not there", i.ID, i.Computer)
		}
		used[c.ID]++
		needs[c.ID] = needs[c.ID].plus(i.Needs)
		if i.Partition < c.Partitions {
			below[c.ID]++
		}
		if p, ok := w.Supply(c.ID, i.Release); i.Requested != InstanceDestroyed && (!ok || p.Requested != SupplyAvailable) {
			return fmt.Errorf("%s has no supply of %s", i.ID, i.Release)
		}
	}
	for c := range w.Computers() {
		if c.Used != used[c.ID] || c.Free != c.Partitions-below[c.ID] {
			return fmt.Errorf("%s: %d used and %d free of %d, want %d and %d", c.ID, c.Used, c.Free, c.Partitions, used[c.ID], c.Partitions-below[c.ID])
		}
		if c.Reserved != needs[c.ID] {
			return fmt.Errorf("%s: reserved %s, want %s", c.ID, c.Reserved, needs[c.ID])
		}
		if c.State == ComputerLeft && c.Used == 0 {
			return fmt.Errorf("%s left and is still there", c.ID)
		}
		for n := range c.Next {
			_, gap := w.gaps.get(gapKey(c.ID, n))
			if _, taken := held[gapKey(c.ID, n)]; gap == taken {
				return fmt.Errorf("%s/%d: free %v, held %v", c.ID, n, gap, taken)
			}
		}
	}
	if err := w.checkMoney(); err != nil {
		return err
	}
	if err := w.checkSpread(); err != nil {
		return err
	}
	if err := w.checkTrees(); err != nil {
		return err
	}
	if err := w.checkPeople(); err != nil {
		return err
	}
	var sum Hash
	for _, id := range tables {
		shelf, _ := w.shelf(id)
		shelf.each(func(k Key, row any) bool {
			sum.add(hashRow(id, k, row, nil))
			return true
		})
	}
	if sum != w.sum {
		return fmt.Errorf("the hash is not that of the rows")
	}
	if n := w.events.len(); n > MaxEvents {
		return fmt.Errorf("%d events are kept", n)
	}
	return nil
}

// randomCommand returns something that might be asked, right or wrong.
func randomCommand(r *rand.Rand, w *world, step int) (Principal, Command) {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	if step == 0 {
		return System(), Found{"home", "m", r.IntN(2) == 0, "ann", "p1", "attic", publicKeyOf("p1"), 0, CurrentRules, testSecret}
	}
	peer := PeerID(pick("p1", "p1", "p2", "p3", "p4", "p5", "p6"))
	if members := slices.Collect(w.Peers()); r.IntN(5) > 0 {
		peer = members[r.IntN(len(members))].ID
	}
	token := fmt.Sprint("t", step/100, pick("a", "b", "c")) // new ones come up
	other := PeerID(pick("p2", "p3", "p4", "p5", "p6"))     // p1 stays, lest the mesh die out
	name, version := pick("web", "db"), pick("1", "2")
	reference := Reference(pick("a", "b", "c", "d", "e", "f", "g"))
	p := AsPeer(peer)
	if r.IntN(10) == 0 {
		p = []Principal{System(), AsAccount("ann"), AsAccount("bob"), AsAccount("acme"), AsToken(TokenID(token))}[r.IntN(5)]
	}
	switch n := r.IntN(100); {
	case n < 4:
		c := CreateToken{
			ID: TokenID(token), Digest: digestOfToken(token), Role: Role(pick("voter", "computer", "user")), Uses: 1 + r.IntN(3),
			Expires: w.at.Add(time.Duration(r.IntN(7200)) * time.Second), Account: AccountName(pick("ann", "bob", "")),
		}
		if c.Role == RoleUser {
			c.narrowRandomly(r)
		}
		return p, c
	case n < 12:
		return AsPeer("p1"), Admit{digestOfToken(token), false, other, publicKeyOf(string(other)), "x"}
	case n < 14:
		id := pick("p5", "p6")
		return p, Admit{nil, true, PeerID(id), publicKeyOf(id), "x"}
	case n < 22:
		return p, Offer{
			Partitions: r.IntN(8), Scope: Scope(pick("", "", "personal", "closed", "public")), Grade: pick("plain", "sandbox"), Labels: map[string]string{"country": pick("FR", "DE")},
			Cores: uint32(1000 * r.IntN(4)), Memory: int64(r.IntN(6)) << 30, Disk: int64(r.IntN(3)) << 40,
		}
	case n < 26:
		return p, Publish{Digest: DigestOf(profileOf(name, version)), Profile: profileOf(name, version), Name: name, Version: version, Types: []string{"default", "big"}}
	case n < 29:
		return p, SetSupply{ComputerID(peer), DigestOf(profileOf(name, version)), SupplyState(pick("available", "destroyed"))}
	case n < 38:
		return randomTree(r, w, p, peer, randomRequest(r, reference, DigestOf(profileOf(name, version))))
	case n < 56:
		return p, randomRequest(r, reference, DigestOf(profileOf(name, version)))
	case n < 68:
		c := randomState(r, reference)
		c.Account = AccountName(pick("", "", "", "acme", "lab"))
		return p, c
	case n < 88:
		return randomReport(r, w, peer)
	case n < 90:
		return System(), MarkComputers{[]ComputerID{ComputerID(peer)}, []ComputerID{"p1", "p2", "p3", ComputerID(other)}}
	}
	switch r.IntN(3) {
	case 0:
		return randomMoney(r, w, p, peer)
	case 1:
		return randomPeople(r, p)
	}
	if r.IntN(3) == 0 {
		return randomFleet(r, p, ComputerID(peer))
	}
	if n := r.IntN(12); n < 2 {
		return AsPeer(other), []Command{Leave{Force: true}, RemovePeer{PeerID(pick("p6", "x"))}}[n]
	}
	return p, []Command{
		RevokeToken{TokenID(token)},
		SetRole{other, Role(pick("voter", "computer"))},
		AssignSeat{other},
		Unpublish{DigestOf(profileOf(name, version))},
	}[r.IntN(4)]
}

func randomRequest(r *rand.Rand, reference Reference, release ReleaseDigest) Request {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	c := Request{
		Reference: reference, Release: release, Pinned: r.IntN(4) == 0,
		Type: pick("", "", "default", "big", "none"), State: InstanceState(pick("", "", "started", "stopped", "destroyed")),
		ReplaceParameters: r.IntN(3) == 0,
	}
	if r.IntN(2) == 0 {
		c.Parameters = map[string]json.RawMessage{pick("x", "y"): json.RawMessage(pick("1", "null", `{"a": [1, 2]}`, "{"))}
	}
	if r.IntN(4) == 0 {
		c.Account = AccountName(pick("acme", "lab", "bob"))
	}
	if r.IntN(2) == 0 {
		c.Filter = map[string]string{pick("country", "computer", "grade"): pick("FR", "DE", "p1", "p3", "sandbox")}
	}
	if r.IntN(2) == 0 {
		c.Needs, c.ReplaceNeeds = Needs{int64(500 * r.IntN(4)), int64(r.IntN(3)) << 30, int64(r.IntN(2)-r.IntN(30)/29) << 39}, r.IntN(4) == 0
		if r.IntN(50) == 0 {
			c.Where = pick("cores / 0 > 1", "price <= 100000", "memory_free > 2GiB")
		}
		c.Policy = placement.Policy(pick("", "default", "pack", "spread", "cheapest", "cheapest"))
	}
	if r.IntN(8) == 0 {
		c.MaxPrice = book.Amount(r.Int64N(3e6))
		c.Affinity = Affinity{references(pick("", "", "a", "b")), pick("", "", "", "site"), references(pick("", "d", "d,e", "g")), pick("", "site", "host", "country")}
	}
	return c
}

func randomReport(r *rand.Rand, w *world, peer PeerID) (Principal, Command) {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	var c Report
	instances := collect(w.InstancesOn(ComputerID(peer)))
	for _, i := range instances {
		instances = append(instances, collect(w.SharedOn(i.ID))...)
	}
	for _, i := range instances {
		if r.IntN(3) == 0 {
			continue
		}
		state := InstanceState(pick("building", "starting", "started", "stopped", "error"))
		if i.Requested == InstanceDestroyed && r.IntN(2) == 0 {
			state = InstanceDestroyed
		}
		c.Instances = append(c.Instances, InstanceReport{
			ID: i.ID, Generation: i.Generation - uint64(r.IntN(2)), State: state, Healthy: r.IntN(2) == 0,
			Connection: map[string]string{"url": pick("a", "b")}, Ports: map[string]uint16{"main": uint16(1 + r.IntN(3))},
		})
	}
	for p := range w.Supplies(ComputerID(peer)) {
		c.Supplies = append(c.Supplies, SupplyReport{p.Release, SupplyState(pick("building", "available", "error", "destroyed")), pick("1 of 2", "2 of 2"), ""})
	}
	return AsPeer(peer), c
}
