package placement_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/slapmesh/slapmesh/ledger/placement"
)

// A fleet is what an index should know, kept as plainly as can be.
type fleet struct {
	all   map[string]placement.Candidate
	built map[string]bool // computers with the release web
}

// fits reports whether c can take w.
func (f fleet) fits(c placement.Candidate, w placement.Want) bool {
	open := c.Free > 0 && !c.Closed && !c.Silent && !c.Drained && !c.Retired
	allowed := c.Owner == w.Account || !c.Only && (!w.Strangers || !c.Weak || c.Public)
	if c.Kin && c.Owner != w.Account {
		allowed = !c.Only && w.Kin != nil && w.Kin(c.Owner)
	}
	room := func(has, reserved, needs int64) bool { return needs == 0 || has == 0 || needs <= has-reserved }
	return open && allowed && f.meets(c, w) && (w.MaxPrice == 0 || c.Price(&w)+w.Besides <= w.MaxPrice) &&
		room(c.Capacity.Cores, c.Reserved.Cores, w.Needs.Cores) &&
		room(c.Capacity.Memory, c.Reserved.Memory, w.Needs.Memory) &&
		room(c.Capacity.Disk, c.Reserved.Disk, w.Needs.Disk) &&
		room(c.Capacity.Bandwidth, c.Reserved.Bandwidth, w.Needs.Bandwidth)
}

// meets reports whether c is as w demands, room and openness aside.
func (fleet) meets(c placement.Candidate, w placement.Want) bool {
	for k, v := range w.Filter {
		ok := false
		switch k {
		case "grade":
			ok = c.Grade == v
		case "computer":
			ok = c.ID == v || c.Name == v
		default:
			ok = c.Labels[k] == v
		}
		if !ok {
			return false
		}
	}
	if w.Expr != nil {
		if ok, _ := w.Expr.Eval(&c, &w); !ok {
			return false
		}
	}
	if w.OnlyComputers != nil && !slices.Contains(w.OnlyComputers, c.ID) || w.OnlySites != nil && !slices.Contains(w.OnlySites, c.Site()) {
		return false
	}
	for _, l := range w.NotLabels {
		if c.Labels[l.Key] == l.Value {
			return false
		}
	}
	return !slices.Contains(w.NotComputers, c.ID) && !slices.Contains(w.NotSites, c.Site()) &&
		(c.Host == "" || !slices.Contains(w.NotHosts, c.Host)) &&
		within(w.Needs.Cores, c.Capacity.Cores) && within(w.Needs.Memory, c.Capacity.Memory) && within(w.Needs.Disk, c.Capacity.Disk) &&
		within(w.Needs.Bandwidth, c.Capacity.Bandwidth)
}

// within reports whether n fits into has, of which zero is not known.
func within(n, has int64) bool { return has == 0 || n <= has }

// ranked returns all that fit w, the best first.
func (f fleet) ranked(w placement.Want) []string {
	type site struct{ beside, used, free int }
	sites, beside := map[string]*site{}, map[string]int{}
	for _, c := range f.all {
		if sites[c.Site()] == nil {
			sites[c.Site()] = &site{}
		}
		if !c.Closed && !c.Silent && !c.Drained && !c.Retired {
			sites[c.Site()].used += c.Used
			sites[c.Site()].free += c.Free
		}
	}
	for _, h := range w.Beside {
		if c, ok := f.all[h.Computer]; ok {
			beside[h.Computer] += h.Instances
			sites[c.Site()].beside += h.Instances
		}
	}
	yes := func(b bool) int { return map[bool]int{true: 0, false: 1}[b] }
	compare := func(a, b placement.Candidate) int {
		if c := cmp.Compare(yes(!slices.Contains(w.Avoid, a.ID)), yes(!slices.Contains(w.Avoid, b.ID))); c != 0 {
			return c
		}
		x, y := sites[a.Site()], sites[b.Site()]
		switch w.Policy {
		case placement.Pack:
			return cmp.Or(cmp.Compare(b.Load(), a.Load()), cmp.Compare(a.Free, b.Free), cmp.Compare(a.ID, b.ID))
		case placement.Cheapest:
			return cmp.Or(cmp.Compare(a.Price(&w), b.Price(&w)), cmp.Compare(b.Free, a.Free), cmp.Compare(a.ID, b.ID))
		case placement.Spread:
			if x != y {
				return cmp.Or(cmp.Compare(x.beside, y.beside),
					cmp.Compare(x.used*(y.used+y.free), y.used*(x.used+x.free)), cmp.Compare(y.free, x.free), cmp.Compare(a.Site(), b.Site()))
			}
			return cmp.Or(cmp.Compare(beside[a.ID], beside[b.ID]), cmp.Compare(b.Free, a.Free), cmp.Compare(a.ID, b.ID))
		default:
			web := func(c placement.Candidate) int { return yes(w.Release == "web" && f.built[c.ID]) }
			return cmp.Or(cmp.Compare(web(a), web(b)), cmp.Compare(b.Free, a.Free), cmp.Compare(a.ID, b.ID))
		}
	}
	var list []placement.Candidate
	for _, id := range slices.Sorted(maps.Keys(f.all)) {
		if f.fits(f.all[id], w) {
			list = append(list, f.all[id])
		}
	}
	slices.SortFunc(list, compare)
	ids := make([]string, len(list))
	for n, c := range list {
		ids[n] = c.ID
	}
	return ids
}

type source struct{ *rand.Rand }

func (r source) pick(s ...string) string { return s[r.IntN(len(s))] }
func (r source) chance(n int) bool       { return r.IntN(n) == 0 }

func (r source) some(most int, of func() string) (list []string) {
	for range r.IntN(most + 1) {
		list = append(list, of())
	}
	return list
}

func (r source) site() string    { return fmt.Sprint("s", r.IntN(6)) }
func (r source) country() string { return r.pick("FR", "DE", "JP") }

func (r source) candidate(id string) placement.Candidate {
	c := placement.Candidate{
		ID: id, Name: r.pick("n1", "n2", id), Owner: r.pick("ann", "bob", "ann", "bob", "eve"), Free: r.IntN(5), Used: r.IntN(5),
		Grade: r.pick("plain", "sandbox"), Arch: r.pick("amd64", "arm64"), Host: r.pick("", "", "h1", "h2"),
		Labels:   map[string]string{"country": r.country(), "network": r.pick("n1", "n2", "n3"), "gpus": r.pick("0", "1", "2", "no")},
		Capacity: placement.Resources{Cores: int64(r.IntN(5)) * 1000, Memory: int64(r.IntN(9)) << 30, Disk: int64(r.IntN(9)) << 30, Bandwidth: int64(r.IntN(4)) * 1e8},
		Rates:    placement.Rates{Partition: 1e6 * int64(r.IntN(4)), Memory: 1e6 * int64(r.IntN(3)), Disk: 1e6 * int64(r.IntN(2))},
		Public:   r.chance(3), Weak: r.chance(3), Only: r.chance(5), Kin: r.chance(4), Closed: r.chance(9), Silent: r.chance(9), Drained: r.chance(9), Retired: r.chance(20),
	}
	if r.chance(2) {
		c.Reserved = placement.Resources{Cores: int64(r.IntN(3)) * 500, Memory: int64(r.IntN(5)) << 30, Disk: int64(r.IntN(3)) << 30, Bandwidth: int64(r.IntN(3)) * 5e7}
	}
	if !r.chance(5) {
		c.Labels["site"] = r.site()
	}
	return c
}

func (r source) want(id func() string) placement.Want {
	w := placement.Want{
		Reference: "x", Account: r.pick("ann", "bob"), Release: r.pick("web", "db"), Strangers: r.chance(2), Filter: map[string]string{},
		Policy: placement.Policy(r.pick("", "default", "pack", "spread", "cheapest")),
	}
	if r.chance(3) {
		w.Kin = func(owner string) bool { return owner == "eve" || w.Account == "ann" }
	}
	if r.chance(2) {
		w.Filter["country"] = r.country()
	}
	if r.chance(9) {
		w.Filter[r.pick("grade", "computer", "site")] = r.pick("plain", "n1", "c3", "s1")
	}
	if r.chance(2) {
		w.Needs = placement.Resources{Cores: int64(r.IntN(3)) * 700, Memory: int64(r.IntN(6)) << 30, Disk: int64(r.IntN(4)) << 29, Bandwidth: int64(r.IntN(6)/3) * 6e7}
	}
	if r.chance(4) {
		w.Expect = placement.Resources{Memory: int64(r.IntN(3)) << 30, Disk: 1 << 30}
	}
	if r.chance(5) {
		w.MaxPrice, w.Besides = int64(1+r.IntN(5)), int64(r.IntN(9)/8)
	}
	if r.chance(2) {
		e, err := placement.ParseFilter(r.pick(
			`country in [FR, JP] and gpus >= 1`, `arch = arm64`, `not (country = DE) and memory / gpus > 2GiB`, `owner = ann and name = n1`,
			`site = s1 or site = s2`, `site in [s1, s2, s1]`, `computer in [n1, c3, c4]`, `has site and partitions_free * 2 > (cores)`,
			`memory_free >= 3GiB and 1 < cores`, `cores_free = 2 or has x`, `millicores > 1500 and disk = 5GiB`, `cores_free >= 2 and disk_free > 0`,
			`price <= 3 and grade = sandbox`, `"FR" = country`, `memory_free >= memory / 2`, `country = XX`, `gpus = 2 and country = FR`,
		))
		if err != nil {
			panic(err)
		}
		w.Expr = e
	}
	if r.chance(3) {
		w.Avoid = r.some(6, id)
	}
	switch r.IntN(8) {
	case 0:
		w.OnlyComputers = r.some(6, id)
	case 1:
		w.OnlySites = r.some(3, r.site)
	case 2:
		w.NotComputers, w.NotHosts = r.some(9, id), r.some(2, func() string { return "h1" })
	case 3:
		w.NotSites, w.NotLabels = r.some(3, r.site), []placement.Label{{"network", "n1"}}
	}
	if r.chance(2) {
		for _, id := range r.some(5, id) {
			w.Beside = append(w.Beside, placement.Held{id, 1 + r.IntN(3)/2})
		}
	}
	return w
}

// TestChooseAgreesWithAScan compares the index with looking at every
// computer, for small fleets and for some large enough that the index walks.
func TestChooseAgreesWithAScan(t *testing.T) {
	for seed := range uint64(12) {
		r := source{rand.New(rand.NewPCG(seed, 7))}
		computers, steps := 30, 1500
		if seed%2 == 1 {
			computers, steps = 900, 250
		}
		x, f := placement.New(), fleet{map[string]placement.Candidate{}, map[string]bool{}}
		id := func() string { return fmt.Sprint("c", r.IntN(computers)) }
		put := func(id string) { f.all[id] = r.candidate(id); x.Put(f.all[id]) }
		for n := range computers {
			put(fmt.Sprint("c", n))
		}
		for step := range steps {
			switch id := id(); r.IntN(8) {
			case 0:
				x.Delete(id)
				delete(f.all, id)
			case 1:
				f.built[id] = !f.built[id]
				x.SetBuilt(id, "web", f.built[id])
			case 2, 3, 4:
				if c, ok := f.all[id]; ok { // only what an allocation changes
					c.Free, c.Used = r.IntN(5), r.IntN(5)
					f.all[id] = c
					x.Put(c)
				}
			default:
				put(id)
			}
			before := x.Copy()
			x.Put(placement.Candidate{ID: "other", Free: 99})
			w := r.want(id)
			checkChoice(t, fmt.Sprintf("seed %d step %d", seed, step), &before, f, w)
			x.Delete("other")
		}
	}
}

func checkChoice(t *testing.T, at string, x *placement.Index, f fleet, w placement.Want) {
	t.Helper()
	want := f.ranked(w)
	got, err := x.Choose(w)
	quote, quoteErr := x.Quote(w)
	if len(want) == 0 {
		if err == nil || quoteErr == nil || err.Error() != quoteErr.Error() {
			t.Fatalf("%s: %+v\nchose %q (%v), quoted %v (%v), want none", at, w, got, err, quote, quoteErr)
		}
		checkRefusal(t, err, len(f.all))
	} else {
		offers := append([]placement.Offer{quote.Choice}, quote.RunnersUp...)
		var quoted []string
		for _, o := range offers {
			quoted = append(quoted, o.Computer)
			if c := f.all[o.Computer]; o.Price != c.Price(&w) || o.Name != c.Name {
				t.Fatalf("%s: offer %+v", at, o)
			}
		}
		if err != nil || quoteErr != nil || got != want[0] || !slices.Equal(quoted, want[:min(len(want), 6)]) {
			t.Fatalf("%s: %+v\nchose %q (%v), quoted %q (%v), want %q", at, w, got, err, quoted, quoteErr, want[:min(len(want), 7)])
		}
	}
	for n := range 5 {
		id := fmt.Sprint("c", n)
		c, ok := f.all[id]
		if met, reason := x.Meets(id, w); met != (ok && f.meets(c, w)) || met != (reason == nil) {
			t.Fatalf("%s: %+v: meets %s: %v (%v)", at, w, id, met, reason)
		}
		if got := x.Accepts(id, w.Filter); got != (ok && f.meets(c, placement.Want{Filter: w.Filter})) {
			t.Fatalf("%s: %+v: accepts %s: %v", at, w, id, got)
		}
	}
}

// TestCapacityIsNeverExceeded places until nothing fits, and takes some away
// in between.
func TestCapacityIsNeverExceeded(t *testing.T) {
	for seed := range uint64(8) {
		r := source{rand.New(rand.NewPCG(seed, 9))}
		x, all := placement.New(), map[string]placement.Candidate{}
		for n := range 200 {
			c := r.candidate(fmt.Sprint("c", n))
			c.Used, c.Reserved = 0, placement.Resources{}
			all[c.ID] = c
			x.Put(c)
		}
		refused := 0
		for range 3000 {
			w := r.want(func() string { return fmt.Sprint("c", r.IntN(200)) })
			id, err := x.Choose(w)
			if err != nil {
				refused++
				continue
			}
			c := all[id]
			c.Free, c.Used = c.Free-1, c.Used+1
			c.Reserved.Cores += w.Needs.Cores
			c.Reserved.Memory += w.Needs.Memory
			c.Reserved.Disk += w.Needs.Disk
			c.Reserved.Bandwidth += w.Needs.Bandwidth
			if c.Free < 0 || !within(c.Reserved.Bandwidth, c.Capacity.Bandwidth) || !within(c.Reserved.Cores, c.Capacity.Cores) || !within(c.Reserved.Memory, c.Capacity.Memory) || !within(c.Reserved.Disk, c.Capacity.Disk) {
				t.Fatalf("seed %d: %+v took %+v", seed, c, w)
			}
			if r.chance(9) {
				c.Free, c.Used, c.Reserved = c.Free+c.Used, 0, placement.Resources{}
			}
			all[id] = c
			x.Put(c)
		}
		if refused == 0 || refused == 3000 {
			t.Errorf("seed %d: %d refused", seed, refused)
		}
	}
}
