package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
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
		if kind := fmt.Sprintf("%T", e); kinds[kind] == 0 && thorough {
			t.Errorf("nothing was ever %s: the random commands are not what they were meant to be", kind)
		}
	}
	for _, kind := range []string{"child", "shared", "shared with others", "kept", "held down"} {
		if kinds[kind] == 0 && thorough {
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
