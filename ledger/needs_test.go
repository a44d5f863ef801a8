package ledger

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// String is how scripts show needs: cores, GiB of memory and disk, Mbit/s.
func (n Needs) String() string {
	text := fmt.Sprintf("%d.%03d/%d/%d", n.Cores/1000, n.Cores%1000, n.Memory>>30, n.Disk>>30)
	if n.Bandwidth != 0 {
		text += fmt.Sprintf("/%dM", n.Bandwidth/1e6)
	}
	return text
}

// references reads "a,b".
func references(word string) (refs []Reference) {
	for ref := range strings.SplitSeq(word, ",") {
		if ref != "" {
			refs = append(refs, Reference(ref))
		}
	}
	return refs
}

// takeNeeds reads cores=N memory=GIB disk=GIB bandwidth=MBIT of a line, each behind a sign.
func (w *world) takeNeeds(sign string, values map[string]string) (n Needs) {
	w.Helper()
	for k, to := range map[string]struct {
		sum  *int64
		unit int
	}{"cores": {&n.Cores, 1000}, "memory": {&n.Memory, 1 << 30}, "disk": {&n.Disk, 1 << 30}, "bandwidth": {&n.Bandwidth, 1e6}} {
		if text, ok := values[sign+k]; ok {
			*to.sum = int64(to.unit) * int64(w.number(text))
			delete(values, sign+k)
		}
	}
	return n
}

// TestAbsurdDemands: what no computer has is refused before a computer is
// looked for, and older rules know nothing of it.
func TestAbsurdDemands(t *testing.T) {
	w := given(t, home)
	ask := func(c Request) error {
		c.Reference, c.Release = "x", DigestOf(profileOf("web", "1"))
		_, err := w.ask(AsPeer("p1"), c)
		return err
	}
	for _, c := range []Request{
		{Needs: Needs{Cores: -1}},
		{Needs: Needs{Memory: -1}},
		{Needs: Needs{Disk: -1 << 63}},
		{Needs: Needs{Cores: MaxCores + 1}},
		{Needs: Needs{Memory: MaxNeed + 1}},
		{Needs: Needs{Disk: 1<<63 - 1}},
		{Needs: Needs{Bandwidth: -1}},
		{Needs: Needs{Bandwidth: MaxNeed + 1}},
		{MaxPrice: -1},
		{MaxPrice: 1<<63 - 1},
		{Policy: "dearest"},
		{Affinity: Affinity{Near: []Reference{"a\n"}}},
		{Affinity: Affinity{Apart: []Reference{""}}},
		{Affinity: Affinity{Near: []Reference{"x"}}},
		{Affinity: Affinity{Apart: []Reference{"a", "a"}}},
		{Affinity: Affinity{Apart: make([]Reference, MaxNear+1)}},
		{Affinity: Affinity{Near: []Reference{"a"}, NearBy: "planet"}},
		{Affinity: Affinity{Apart: []Reference{"a"}, ApartBy: "a\u202eb"}},
		{Affinity: Affinity{ApartBy: "site"}},
		{Where: "cores / 0 > 1"},
		{Where: strings.Repeat("(", 4000) + "has x" + strings.Repeat(")", 4000)},
		{Where: strings.Repeat("has x and ", 1000) + "has x"},
		{Where: "cores > 1\x00"},
	} {
		if err := ask(c); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	mesh, _ := w.Mesh()
	mesh.Rules = RulesOfMoney
	w.setMesh(mesh)
	for _, c := range []Request{{Needs: Needs{Cores: 1}}, {MaxPrice: 1}, {Affinity: Affinity{Apart: []Reference{"a"}}}, {Policy: "cheapest"}} {
		if err := ask(c); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%+v under older rules: %v", c, err)
		}
	}
}

// takesMore says which computers are to reserve more of what because of
// events that are about to be recorded.
func (w *world) takesMore(events []Event) map[ComputerID]Needs {
	more := make(map[ComputerID]Needs)
	for _, e := range events {
		var now, was Instance
		switch e := e.(type) {
		case Allocated:
			now = e.Instance
		case Relocated:
			now = e.Allocated.Instance
		case Changed:
			now = e.Instance
			was, _ = w.Instance(now.ID)
		}
		if d := now.Needs.minus(was.Needs); max(d.Cores, d.Memory, d.Disk, d.Bandwidth) > 0 {
			more[now.Computer] = d
		}
	}
	return more
}

// lacks reports whether c has reserved more than it has of what more was
// taken of.
func (c Computer) lacks(more Needs) bool {
	over := func(has, reserved, more int64) bool { return has > 0 && more > 0 && reserved > has }
	has := c.Capacity()
	return over(has.Cores, c.Reserved.Cores, more.Cores) || over(has.Memory, c.Reserved.Memory, more.Memory) || over(has.Disk, c.Reserved.Disk, more.Disk) ||
		over(has.Bandwidth, c.Reserved.Bandwidth, more.Bandwidth)
}

// checkSpread says what is wrong with how many instances of an account each
// computer is thought to hold.
func (w *world) checkSpread() error {
	want := make(map[Key]int64)
	for i := range w.AllInstances() {
		if !i.Settled() {
			want[Key{A: string(i.Account), B: string(i.Computer)}]++
		}
	}
	for k, n := range w.spreads.All() {
		if want[k] != n {
			return fmt.Errorf("%s is thought to have %d instances on %s, it has %d", k.A, n, k.B, want[k])
		}
		delete(want, k)
	}
	if len(want) > 0 {
		return fmt.Errorf("nobody counts %v", want)
	}
	return nil
}

// checkPlaced fails if events that were recorded took more than there is, or
// placed something where nothing is to come.
func (w *world) checkPlaced(events []Event, more map[ComputerID]Needs) {
	w.Helper()
	for id, needs := range more {
		if c, _ := w.Computer(id); c.lacks(needs) {
			w.Fatalf("%s has reserved %s of %s", id, c.Reserved, c.Capacity())
		}
	}
	for _, e := range events {
		if moved, ok := e.(Relocated); ok {
			e = moved.Allocated
		}
		e, ok := e.(Allocated)
		if c, _ := w.Computer(e.Instance.Computer); ok && !e.Instance.Shared && (c.Drained || c.Retired || c.Scope == ScopeClosed) {
			w.Fatalf("%s was placed on %+v", e.Instance.Reference, c)
		}
	}
}
