package ledger

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// parseTree reads lines such as "p1 bang i1 disk is full".
func (w *world) parseTree(verb string, a []string, values, filter map[string]string) Command {
	w.Helper()
	switch verb {
	case "move": // ID [discard|data] [?label=value…]
		return Move{Instance: w.id(a[0]), Filter: filter, DiscardData: a[1] == "discard", Data: a[1] == "data", Where: strings.ReplaceAll(values["where"], "_", " ")}
	case "rename": // ID REFERENCE
		return Rename{w.id(a[0]), Reference(a[1])}
	case "end-kept":
		return EndKept{}
	case "bang": // ID [MESSAGE]
		return Bang{w.id(a[0]), strings.TrimSpace(strings.Join(a[1:], " "))}
	}
	return nil
}

// id reads an id such as "i12". Nothing is 0.
func (w *world) id(word string) InstanceID {
	if word == "" {
		return 0
	}
	return InstanceID(w.number(strings.TrimPrefix(word, "i")))
}

// keep takes how long to keep data, in hours, out of the values.
func (w *world) keep(values map[string]string) *time.Duration {
	text, ok := values["keep"]
	if !ok {
		return nil
	}
	delete(values, "keep")
	return new(time.Duration(w.number(text)) * time.Hour)
}

// showTree shows a tree as people would draw it.
func (w *world) showTree(account, reference string) string {
	i, ok := w.InstanceByReference(AccountName(account), Reference(reference))
	if !ok {
		return "nothing\n"
	}
	var out strings.Builder
	for m := range w.Tree(i) {
		fmt.Fprintf(&out, "%s %s: %s requested", m.ID, w.Path(m), m.Requested)
		if m.Asked != "" {
			fmt.Fprintf(&out, " (%s asked)", m.Asked)
		}
		fmt.Fprintf(&out, ", %s, on %s, stamp %s\n", m.State, m.Computer, m.Stamp.Format("15:04:05.000000"))
	}
	return out.String()
}

// TestTreeBounds: a tree does not request itself, and is neither too deep nor
// too broad.
func TestTreeBounds(t *testing.T) {
	w := given(t, "system found home ann p1\np1 offer 2000\np1 publish web 1 "+"a,b,c,d,e,f,g,h,i\n")
	for n, kind := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"} {
		got := w.run(fmt.Sprintf("p1 request x web 1 %s parent=i%d", kind, n)) // i0 is nobody
		if want := map[bool]string{true: "allocated", false: "! request x/x/x/x/x/x/x/x/x: a tree has at most 8 levels (exhausted)"}[n < MaxTreeDepth]; !strings.HasPrefix(got, want) {
			t.Errorf("level %d: %swant %s", n+1, got, want)
		}
	}
	if got := w.run("p1 request y web 1 a parent=i4"); !strings.Contains(got, "a tree cannot request itself: x is web of type a as well (invalid)") {
		t.Error(got)
	}
	for n := range MaxTree - (MaxTreeDepth - 1) {
		w.mustAsk(AsPeer("p1"), Request{Reference: Reference(fmt.Sprint("n", n)), Release: DigestOf(profileOf("web", "1")), Type: "b", Parent: 1})
	}
	if got := w.run("p1 request one-more web 1 c parent=i2"); got != "! request x/x/one-more: the tree has 1000 instances below its root already (exhausted)\n" {
		t.Error(got)
	}
	events, err := w.ask(AsPeer("p1"), SetState{Reference: "x", State: InstanceDestroyed})
	if err != nil || len(events) != MaxTree+1 {
		t.Errorf("destroying the root gave %d events: %v", len(events), err)
	}
	if err := w.check(); err != nil {
		t.Error(err)
	}
}

// TestForgottenTree: who was destroyed long ago is forgotten, but not before
// what it requested.
func TestForgottenTree(t *testing.T) {
	w := given(t, "system found home ann p1\np1 offer 4\np1 publish web 1 a,b\np1 token t computer bob\np1 admit p2 t\np2 offer 1\n"+
		"p1 request x web 1 a ?computer=p1\np1 request y web 1 b parent=i1 ?computer=p2\np1 destroy x\np1 report ann x destroyed")
	for n := range MaxDestroyed + 10 {
		ref := fmt.Sprint("z", n)
		w.run("p1 request " + ref + " web 1")
		w.run("p1 destroy " + ref)
		w.run("p1 report ann " + ref + " destroyed")
	}
	if _, known := w.Instance(1); !known {
		t.Error("the parent of what is still being destroyed is forgotten")
	}
	if got := w.run("p2 report ann i2 destroyed"); got != "destroyed y of ann, p0 is free\n" {
		t.Error(got)
	}
	for n := range 2*MaxDestroyed + 10 {
		ref := fmt.Sprint("z", n)
		w.run("p1 request " + ref + " web 1")
		w.run("p1 destroy " + ref)
		w.run("p1 report ann " + ref + " destroyed")
	}
	for id := range InstanceID(3) {
		if _, known := w.Instance(id); known {
			t.Errorf("%s is not forgotten", id)
		}
	}
	if err := w.check(); err != nil {
		t.Error(err)
	}
}

// TestStamp: the stamp of an instance changes exactly when something changes
// that the instance can see.
func TestStamp(t *testing.T) {
	const family = `
		system found home ann p1
		p1 offer 8 country=FR
		p1 publish web 1 default,big
		p1 publish web 2 default,big
		p1 publish db 1
		p1 request shop web 1
		p1 request db db 1 parent=i1
		p1 request other web 1 state=stopped
		p1 report ann shop started
		p1 report ann shop/db started
	`
	for _, tc := range []struct {
		when string
		then string // whose stamp changes
	}{
		{"p1 request shop web 1 x=1", "shop"},
		{"p1 request shop web 1", ""},
		{"p1 request shop web 2", "shop"},
		{"p1 request shop web 1 big", "shop"},
		{"p1 request shop web 1 ?country=FR", ""},
		{"p1 request shop web 1 policy=spread", ""},
		{"p1 request shop web 1 +cores=1", ""},
		{"p1 request other web 1 x=1", "other"},
		{"p1 rename i1 store", "shop"},
		{"p1 rename i2 database", "shop/db"},
		{"p1 stop shop", "shop shop/db"},
		{"p1 stop shop/db", "shop/db"},
		{"p1 destroy shop/db", "shop/db"},
		{"p1 start other", "other"},
		{"p1 destroy other", "other"},
		{"p1 request db db 1 y=1 parent=i1", "shop/db"},
		{"p1 request cache db 1 default parent=i1", ""},
		{"p1 report ann shop error reason=broken", ""},
		{"p1 report ann shop started url=a", ""},
		{"p1 report ann shop/db error reason=broken", ""},
		{"p1 report ann shop/db started url=a", "shop"},
		{"p1 bang i2 look", "shop shop/db"},
		{"p1 request site web 1 shared=yes ?instance=i1", "shop"},
		{"p1 request other web 1 scope=public", ""},
		{"p1 request other web 1 keep=1", ""},
		{"p1 destroy shop keep=1", "shop shop/db"},
		{"p1 bang i3", "other"},
		{"p1 offer 9 country=FR", ""},
		{"system lost p1", ""},
		{"p1 price core=1", ""},
		{"p1 review i1 accepted", ""},
		{"hours 1", ""},
	} {
		t.Run(tc.when, func(t *testing.T) {
			w := given(t, family)
			stamps := func() map[InstanceID]time.Time {
				out := make(map[InstanceID]time.Time)
				for i := range w.AllInstances() {
					out[i.ID] = i.Stamp
				}
				return out
			}
			names := map[InstanceID]string{1: "shop", 2: "shop/db", 3: "other"}
			before := stamps()
			if out := w.run(tc.when); strings.HasPrefix(out, "!") {
				t.Fatal(out)
			}
			var changed []string
			for id, after := range stamps() {
				switch {
				case names[id] == "" || after.Equal(before[id]):
				case !after.After(before[id]) || after.Nanosecond()%1000 != 0:
					t.Errorf("stamp of %s: %v after %v", names[id], after, before[id])
				default:
					changed = append(changed, names[id])
				}
			}
			for _, name := range names {
				if is, want := slices.Contains(changed, name), slices.Contains(strings.Fields(tc.then), name); is != want {
					t.Errorf("stamp of %s changed: %v, want %v", name, is, want)
				}
			}
		})
	}
}

// randomTree returns something that might be asked of trees.
func randomTree(r *rand.Rand, w *world, p Principal, peer PeerID, request Request) (Principal, Command) {
	id := InstanceID(1 + r.IntN(int(w.counters.Instance)+1))
	if r.IntN(3) > 0 {
		var live []InstanceID
		for i := range w.AllInstances() {
			if !i.Settled() {
				live = append(live, i.ID)
			}
		}
		if len(live) > 0 {
			id = live[r.IntN(len(live))]
		}
	}
	switch n := r.IntN(16); {
	case n < 1:
		return System(), EndKept{}
	case n < 3:
		data := r.IntN(2) == 0
		return p, Move{Instance: id, DiscardData: !data && r.IntN(4) > 0, Data: data}
	case n < 6:
		request.Shared, request.Parent = true, id*InstanceID(r.IntN(2))
		if i, ok := w.Instance(id); ok && r.IntN(3) > 0 {
			request.Release, request.Type = i.Release, i.Type
		}
		return p, request
	case n < 8:
		request.Scope = []Scope{ScopePublic, ScopePersonal, ScopeClosed}[r.IntN(3)]
		request.Keep = randomState(r, "").Keep
		return p, request
	case n < 12:
		if i, ok := w.Instance(id); ok && r.IntN(3) > 0 {
			p = AsPeer(PeerID(i.Computer))
		}
		request.Parent = id
		return p, request
	case n < 14:
		return p, Rename{id, Reference([]string{"a", "b", "c", "h", "a/b", "x\n"}[r.IntN(6)])}
	case n < 15:
		return AsPeer(peer), Bang{id, "look"}
	}
	return p, randomState(r, Reference(id.String()))
}

// randomState returns something that might be asked of an instance.
func randomState(r *rand.Rand, reference Reference) SetState {
	c := SetState{Reference: reference, State: []InstanceState{InstanceStarted, InstanceStopped, InstanceDestroyed, InstanceDestroyed}[r.IntN(4)]}
	if r.IntN(4) == 0 {
		c.Keep = new(time.Duration(r.IntN(4)) * time.Minute)
	}
	return c
}

// checkTrees says what is wrong with the trees, if anything is.
func (w *world) checkTrees() error {
	names := make(map[Key]InstanceID)
	for i := range w.AllInstances() {
		if now, ok := w.Instance(i.Moved); i.leaves() && i.Requested != InstanceDestroyed && (!ok || now.From != i.ID || now.Computer != i.MovedTo) {
			return fmt.Errorf("%s moves to %s on %s, which takes the data of %s", i.ID, i.Moved, i.MovedTo, now.From)
		}
		if !i.nameless() {
			if other, twice := names[i.name()]; twice {
				return fmt.Errorf("%s and %s are both %s", other, i.ID, w.Path(i))
			}
			names[i.name()] = i.ID
			if found, ok := w.InstanceByReference(i.Account, Reference(w.Path(i))); !ok || found.ID != i.ID {
				return fmt.Errorf("%s is called %s, which leads to %s", i.ID, w.Path(i), found.ID)
			}
		}
		if err := w.checkShared(i); err != nil {
			return err
		}
		depth, above := 1, i
		for above.Parent != 0 {
			parent, ok := w.Instance(above.Parent)
			if !ok {
				return fmt.Errorf("%s was requested by %s, which is not known", above.ID, above.Parent)
			}
			if depth++; depth > MaxTreeDepth {
				return fmt.Errorf("%s is %d levels deep", i.ID, depth)
			}
			above = parent
		}
		if above.ID != i.RootOf() {
			return fmt.Errorf("%s has the root %s, want %s", i.ID, i.RootOf(), above.ID)
		}
		if i.Parent == 0 {
			continue
		}
		parent, _ := w.Instance(i.Parent)
		switch {
		case parent.Account != i.Account:
			return fmt.Errorf("%s is of %s and its parent of %s", i.ID, i.Account, parent.Account)
		case i.Requested != lower(i.Requested, parent.Requested):
			return fmt.Errorf("%s is %s and its parent %s", i.ID, i.Requested, parent.Requested)
		case i.Asked != "" && (i.Requested == InstanceDestroyed || i.Requested != lower(i.Asked, parent.Requested)):
			return fmt.Errorf("%s is %s, %s is asked, and its parent is %s", i.ID, i.Requested, i.Asked, parent.Requested)
		}
	}
	return nil
}

// checkShared says what is wrong with a shared instance.
func (w *world) checkShared(i Instance) error {
	host, ok := w.Instance(i.Host)
	switch {
	case i.Settled():
		return nil
	case !i.Shared:
		if i.Host != 0 {
			return fmt.Errorf("%s is not shared and inside %s", i.ID, i.Host)
		}
		return nil
	case !ok || host.Settled() || host.Requested == InstanceDestroyed || host.Shared:
		return fmt.Errorf("%s is inside %s, which is %s", i.ID, i.Host, host.Requested)
	case host.Release != i.Release || host.Type != i.Type || host.Computer != i.Computer || host.Partition != i.Partition:
		return fmt.Errorf("%s is %.16s of type %s on %s and %s, inside which it is, %.16s of type %s on %s", i.ID, i.Release, i.Type, i.Computer, i.Host, host.Release, host.Type, host.Computer)
	case i.Address != host.Address && w.follows(RulesOfGroups):
		return fmt.Errorf("%s is shared and has the address %s, its host %s", i.ID, i.Address, host.Address)
	}
	for other := range w.SharedOn(host.ID) {
		if other.ID == i.ID {
			return nil
		}
	}
	return fmt.Errorf("%s is not found inside %s", i.ID, i.Host)
}

// kindsOf says what an event has to do with trees.
func kindsOf(e Event) (kinds []string) {
	var i Instance
	switch e := e.(type) {
	case Allocated:
		i = e.Instance
	case Changed:
		i = e.Instance
	}
	for kind, is := range map[string]bool{
		"child": i.Parent != 0, "shared": i.Shared, "shared with others": i.Scope == ScopePublic,
		"kept": !i.Kept.IsZero(), "held down": i.Asked != "",
	} {
		if is {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// TestSharedBounds: a host holds so many, and the next one is taken. Destroying
// a host ends all that is shared inside it.
func TestSharedBounds(t *testing.T) {
	w := given(t, "system found home ann p1\np1 offer 3\np1 publish web 1\np1 request h1 web 1\np1 request h2 web 1\n")
	for n := range MaxShared + 1 {
		w.mustAsk(AsPeer("p1"), Request{Reference: Reference(fmt.Sprint("s", n)), Release: DigestOf(profileOf("web", "1")), Shared: true})
	}
	if i, _ := w.InstanceByReference("ann", Reference(fmt.Sprint("s", MaxShared))); i.Host != 2 {
		t.Errorf("the first shared instance that h1 has no room for is inside %s", i.Host)
	}
	if got := w.run("p1 request more web 1 shared=yes ?instance=h1"); !strings.Contains(got, "1 instance of the release: 1 full") {
		t.Error(got)
	}
	if err := w.check(); err != nil {
		t.Error(err)
	}
	events, err := w.ask(AsPeer("p1"), SetState{Reference: "h1", State: InstanceDestroyed})
	if err != nil || len(events) != MaxShared+1 {
		t.Errorf("destroying the host gave %d events: %v", len(events), err)
	}
	if err := w.check(); err != nil {
		t.Error(err)
	}
}
