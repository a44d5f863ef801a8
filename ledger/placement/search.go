package placement

import (
	"cmp"
	"math"
	"slices"
)

// A search looks for the computers that fit a want best.
type search struct {
	index *Index
	want  *Want

	// What the want says, so that it is cheap to check.
	filter []Label // sorted by key
	avoid  map[string]bool
	only   map[string]bool // nil: any
	sites  map[string]bool // nil: any
	not    apart
	kin    map[string]bool // owners that were asked for
	beside map[string]int  // per computer
	shares map[string]int  // the same per site
	rows   map[string]*siteRow
	recent *siteRow

	// What to look at if everything is: computers that are named, or the
	// places under one fact or under each of a set, or all if there is
	// neither.
	direct []string
	lists  []uint32
	size   int    // of direct, or of the places under lists
	one    uint32 // the shortest list under one fact
	single int    // places under it; all, if no fact is asked for
	total  int    // open candidates with room
	room   Resources
	has    Resources // whatever fits has that room and capacity at least

	// What was found: the best first, at most most.
	most    int
	found   []*entry
	base    int  // of found, what an earlier pass found
	avoided bool // this pass looks at computers to avoid
	misses  int  // computers that did not fit
}

// apart is what a computer must not be or share.
type apart struct {
	computers, sites, hosts map[string]bool
	labels                  []Label
}

func setOf(list []string) map[string]bool {
	if list == nil {
		return nil
	}
	set := make(map[string]bool, len(list))
	for _, s := range list {
		set[s] = true
	}
	return set
}

func (x *Index) newSearch(w *Want, most int) *search {
	s := &search{
		index: x, want: w, most: most,
		avoid: setOf(w.Avoid), only: setOf(w.OnlyComputers), sites: setOf(w.OnlySites),
		not: apart{setOf(w.NotComputers), setOf(w.NotSites), setOf(w.NotHosts), w.NotLabels},
	}
	for k, v := range w.Filter {
		s.filter = append(s.filter, Label{k, v})
	}
	slices.SortFunc(s.filter, func(a, b Label) int { return cmp.Compare(a.Key, b.Key) })
	if len(w.Beside) > 0 {
		s.beside, s.shares = make(map[string]int), make(map[string]int)
		for _, h := range w.Beside {
			if e, ok := x.candidates.Get(h.Computer); ok {
				s.beside[h.Computer] += h.Instances
				s.shares[e.site] += h.Instances
			}
		}
	}
	s.narrow()
	return s
}

// under iterates over the places under a fact, in the order of the default
// choice, until visit returns false.
func (s *search) under(number uint32, visit func(*entry) bool) {
	for p := range s.index.places.From(place{fact: number, free: math.MaxInt32}) {
		if p.fact != number || !visit(p.entry) {
			return
		}
	}
}

// fits reports whether e is for this pass and fits.
func (s *search) fits(e *entry) bool {
	if s.avoid[e.ID] != s.avoided {
		return false
	}
	if s.unfit(e) != fine {
		s.misses++
		return false
	}
	return true
}

// full reports whether enough was found.
func (s *search) full() bool { return len(s.found) >= s.most }

// next adds e, which is not better than what was found, if it fits. It
// reports whether the search goes on.
func (s *search) next(e *entry) bool {
	if s.fits(e) && !slices.Contains(s.found[s.base:], e) {
		s.found = append(s.found, e)
	}
	return !s.full()
}

// consider puts e in its place among what was found, if it is among the best
// and fits.
func (s *search) consider(e *entry, better func(a, b *entry) bool) {
	if s.full() && !better(e, s.found[len(s.found)-1]) {
		return
	}
	if !s.fits(e) || slices.Contains(s.found[s.base:], e) {
		return
	}
	at := len(s.found)
	for at > s.base && better(e, s.found[at-1]) {
		at--
	}
	s.found = slices.Insert(s.found, at, e)
	s.found = s.found[:min(len(s.found), s.most)]
}

// A cause is why a computer does not fit. From clauses on, it is the number
// of a clause of the filter and then of the expression.
type cause int

const (
	fine cause = iota
	gone
	retired
	drained
	closed
	owners
	groups
	weak
	notNear
	notApart
	divides
	overflows
	fewCores
	littleMemory
	littleDisk
	littleBandwidth
	full
	fewCoresFree
	littleMemoryFree
	littleDiskFree
	littleBandwidthFree
	dear
	clauses
)

// unfit returns why e cannot take what is wanted: fine if it can.
func (s *search) unfit(e *entry) cause {
	w := s.want
	switch stranger := e.Owner != w.Account; {
	case e.Silent:
		return gone
	case e.Retired:
		return retired
	case e.Closed:
		return closed
	case e.Drained:
		return drained
	case stranger && e.Only:
		return owners
	case stranger && e.Kin:
		if !s.isKin(e.Owner) {
			return groups
		}
	case stranger && w.Strangers && e.Weak && !e.Public:
		return weak
	}
	if c := s.mismatch(e); c != fine {
		return c
	}
	if e.Free <= 0 {
		return full
	}
	switch {
	case w.Needs.Cores > e.room.Cores:
		return fewCoresFree
	case w.Needs.Memory > e.room.Memory:
		return littleMemoryFree
	case w.Needs.Disk > e.room.Disk:
		return littleDiskFree
	case w.Needs.Bandwidth > e.room.Bandwidth:
		return littleBandwidthFree
	case w.MaxPrice > 0 && plus(e.Price(w), max(0, w.Besides)) > w.MaxPrice:
		return dear
	}
	return fine
}

// isKin reports whether an owner is kin of who wants.
func (s *search) isKin(owner string) bool {
	if s.want.Kin == nil {
		return false
	}
	yes, asked := s.kin[owner]
	if !asked {
		if s.kin == nil {
			s.kin = make(map[string]bool)
		}
		yes = s.want.Kin(owner)
		s.kin[owner] = yes
	}
	return yes
}

// mismatch returns why e cannot take what is wanted even if it had room.
func (s *search) mismatch(e *entry) cause {
	w := s.want
	for n, l := range s.filter {
		if !e.satisfies(l.Key, l.Value) {
			return clauses + cause(n)
		}
	}
	if w.Expr != nil {
		switch n, fault := w.Expr.firstFalse(&e.Candidate, w); {
		case fault != fine:
			return fault
		case n >= 0:
			return clauses + cause(len(s.filter)+n)
		}
	}
	switch {
	case s.only != nil && !s.only[e.ID], s.sites != nil && !s.sites[e.site]:
		return notNear
	case s.not.holds(e):
		return notApart
	case w.Needs.Cores > e.has.Cores:
		return fewCores
	case w.Needs.Memory > e.has.Memory:
		return littleMemory
	case w.Needs.Disk > e.has.Disk:
		return littleDisk
	case w.Needs.Bandwidth > e.has.Bandwidth:
		return littleBandwidth
	}
	return fine
}

// holds reports whether e is among what must not be shared.
func (a *apart) holds(e *entry) bool {
	if a.computers[e.ID] || a.sites[e.site] || e.Host != "" && a.hosts[e.Host] {
		return true
	}
	for _, l := range a.labels {
		if v, ok := e.Labels[l.Key]; ok && v == l.Value {
			return true
		}
	}
	return false
}

func (c *Candidate) satisfies(key, value string) bool {
	switch key {
	case "computer":
		return c.ID == value || c.Name == value
	case "grade":
		return c.Grade == value
	case "arch":
		return c.Arch == value
	}
	got, ok := c.Labels[key]
	return ok && got == value
}
