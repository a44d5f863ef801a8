package placement

import (
	"cmp"
	"slices"
)

// Choose returns the computer for w, or a [*Refusal] that counts the reasons.
func (x *Index) Choose(w Want) (id string, err error) {
	found := x.best(&w, 1)
	if len(found) == 0 {
		return "", x.explain(&w)
	}
	return found[0].ID, nil
}

// MaxRunnersUp is how many computers a quote names besides the choice.
const MaxRunnersUp = 5

// A Quote says where an instance would be, and what that costs.
type Quote struct {
	Reference string
	Choice    Offer
	RunnersUp []Offer // what would be chosen without those before, the best first
}

// An Offer is a computer that fits a want.
type Offer struct {
	Computer string
	Name     string
	Price    int64 // micro-credits per hour
}

// Quote returns what Choose would choose now, and the next best, or the same
// [*Refusal].
func (x *Index) Quote(w Want) (Quote, error) {
	found := x.best(&w, 1+MaxRunnersUp)
	if len(found) == 0 {
		return Quote{}, x.explain(&w)
	}
	offers := make([]Offer, len(found))
	for n, e := range found {
		offers[n] = Offer{e.ID, e.Name, e.Price(&w)}
	}
	return Quote{w.Reference, offers[0], offers[1:]}, nil
}

// Accepts reports whether a filter accepts the computer of that id, whether
// or not there is room.
func (x *Index) Accepts(id string, filter map[string]string) bool {
	ok, _ := x.Meets(id, Want{Filter: filter})
	return ok
}

// Meets reports whether the computer of that id meets the demands of w on
// what it is (filters, near and apart, what it has), whether or not there is
// room or it takes new ones; and if not, why.
func (x *Index) Meets(id string, w Want) (bool, *Reason) {
	e, ok := x.candidates.Get(id)
	if !ok {
		return false, &Reason{Text: "unknown", Count: 1}
	}
	s := x.newSearch(&w, 1)
	if c := s.mismatch(e); c != fine {
		r := s.reason(c)
		r.Count = 1
		return false, &r
	}
	return true, nil
}

// few reports whether looking at all that is under the shortest facts is
// faster than going along the order of the policy.
func (s *search) few() bool {
	switch s.want.Policy {
	case Pack:
		return s.size <= 256
	case Spread, Cheapest:
		return s.size <= 512
	default: // each list has that order
		return s.size < s.single
	}
}

// best returns the computers that fit w best, the best first, at most most.
func (x *Index) best(w *Want, most int) []*entry {
	s := x.newSearch(w, most)
	for _, avoided := range []bool{false, true} {
		if s.avoided = avoided; avoided && len(s.avoid) == 0 {
			break
		}
		s.base, s.misses = len(s.found), 0
		s.pass()
		if s.full() {
			break
		}
	}
	return s.found
}

// pass finds the best of those to avoid, or of the others.
func (s *search) pass() {
	if s.size == 0 {
		return
	}
	better := s.better()
	if !s.few() {
		if s.walk() {
			return
		}
		s.found = s.found[:s.base]
	}
	if s.size == s.total {
		for _, b := range s.index.freest.blocks.All() {
			for _, e := range b.entries {
				s.consider(e, better)
			}
		}
		return
	}
	for _, id := range s.direct {
		if e, ok := s.index.candidates.Get(id); ok {
			s.consider(e, better)
		}
	}
	for _, number := range s.lists {
		s.under(number, func(e *entry) bool {
			s.consider(e, better)
			return true
		})
	}
}

// walk goes along the order of the policy. It returns false if it gave up.
func (s *search) walk() bool {
	switch s.want.Policy {
	case Pack:
		return s.pack()
	case Spread:
		return s.spread()
	case Cheapest:
		return s.cheapest()
	default:
		return s.standard()
	}
}

// lost reports whether it is time to give up going along an order of so many:
// more did not fit than there are under the shortest facts, so that looking
// at those instead costs at most as much again.
func (s *search) lost(among int) bool { return s.misses > s.size && s.size < among }

// better returns the order of the policy.
func (s *search) better() func(a, b *entry) bool {
	var order func(a, b *entry) int
	switch s.want.Policy {
	case Pack:
		order = comparePacked
	case Cheapest:
		var last *entry // what was found is compared with one computer after the other
		var price int64
		order = func(a, b *entry) int {
			if b != last {
				last, price = b, b.Price(s.want)
			}
			if c := cmp.Compare(a.Price(s.want), price); c != 0 {
				return c
			}
			return compareFree(a, b)
		}
	case Spread:
		order = func(a, b *entry) int {
			if a.site == b.site {
				return cmp.Or(cmp.Compare(s.beside[a.ID], s.beside[b.ID]), compareFree(a, b))
			}
			y := s.row(b.site)
			s.recent = y
			return s.compareSites(*s.row(a.site), *y)
		}
	default:
		number := s.built()
		order = func(a, b *entry) int {
			switch x, y := a.holds(number), b.holds(number); {
			case x && !y:
				return -1
			case y && !x:
				return 1
			}
			return compareFree(a, b)
		}
	}
	return func(a, b *entry) bool { return order(a, b) < 0 }
}

// compareSites sorts the sites that hold less of what is to be spread first.
func (s *search) compareSites(a, b siteRow) int {
	if len(s.shares) > 0 && s.shares[a.site] != s.shares[b.site] {
		return cmp.Compare(s.shares[a.site], s.shares[b.site])
	}
	return compareSites(a, b)
}

// row returns the counts of a site. The most recent is at hand: what was found
// last is compared with one computer after the other.
func (s *search) row(site string) *siteRow {
	if s.recent != nil && s.recent.site == site {
		return s.recent
	}
	row, ok := s.rows[site]
	if !ok {
		counts, _ := s.index.sites.Get(site)
		if row = &counts; s.rows == nil {
			s.rows = make(map[string]*siteRow)
		}
		s.rows[site] = row
	}
	return row
}

// built returns the number of the fact that the release is built.
func (s *search) built() (number int64) {
	row, ok := s.index.facts.Get(clause("built", s.want.Release))
	if !ok {
		return -1
	}
	return int64(row.number)
}

// holds reports whether the release whose fact has that number is built.
func (e *entry) holds(number int64) bool {
	for _, f := range e.builds {
		if int64(f.number) == number {
			return true
		}
	}
	return false
}

// standard walks the places of the default choice. Like each of the walks
// below, it returns false if it gave up.
func (s *search) standard() bool {
	gaveUp := false
	visit := func(e *entry) bool {
		more := s.next(e)
		gaveUp = more && s.lost(s.single)
		return more && !gaveUp
	}
	if number := s.built(); number >= 0 {
		s.under(uint32(number), visit)
	}
	switch {
	case s.full() || gaveUp:
	case s.single == s.total:
		return s.along(&s.index.freest)
	default:
		s.under(s.one, visit)
	}
	return !gaveUp
}

// pack walks from the fullest on.
func (s *search) pack() bool { return s.along(&s.index.packed) }

// along walks a ranking, past blocks without enough room.
func (s *search) along(r *ranking) bool {
	for _, b := range r.blocks.All() {
		if !s.mayFit(b) {
			continue
		}
		for _, e := range b.entries {
			if !s.next(e) {
				return true
			}
		}
		if s.lost(s.total) {
			return false
		}
	}
	return true
}

// mayFit reports whether something in b may have the room and the capacity.
func (s *search) mayFit(b *block) bool { return s.room.within(b.room) && s.has.within(b.has) }

// cheapest walks the blocks with the lowest possible price first, and stops
// when no other can hold better than what it found.
func (s *search) cheapest() bool {
	type offer struct {
		price int64 // none of the block has a lower one
		block *block
	}
	var offers []offer
	expects := s.want.expects()
	for _, b := range s.index.priced.blocks.All() {
		if s.mayFit(b) {
			offers = append(offers, offer{b.least.Price(expects), b})
		}
	}
	compare := func(a, b offer) int {
		return cmp.Or(cmp.Compare(a.price, b.price), cmp.Compare(b.block.free, a.block.free), cmp.Compare(a.block.id, b.block.id))
	}
	slices.SortFunc(offers, compare)
	better := s.better()
	for _, o := range offers {
		if s.full() {
			last := s.found[len(s.found)-1]
			if compare(offer{last.Price(s.want), &block{free: last.Free, id: last.ID}}, o) < 0 {
				break
			}
		}
		for _, e := range o.block.entries {
			s.consider(e, better)
		}
		if s.lost(s.total) {
			return false
		}
	}
	return true
}

// spread walks the sites, those first that hold nothing of what is to be
// spread, and in each the computers with most room.
func (s *search) spread() bool {
	for row := range s.index.siteOrder.All() {
		if s.shares[row.site] > 0 {
			continue
		}
		if s.spreadIn(row.site); s.full() {
			return true
		}
		if s.misses++; s.lost(s.total) {
			return false
		}
	}
	rows := make([]siteRow, 0, len(s.shares))
	for site := range s.shares {
		if row, ok := s.index.sites.Get(site); ok && row.open > 0 {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, s.compareSites)
	for _, row := range rows {
		if s.spreadIn(row.site); s.full() {
			return true
		}
		if s.lost(s.total) {
			return false
		}
	}
	return true
}

// spreadIn walks the computers of a site: those first that hold nothing of
// what is to be spread.
func (s *search) spreadIn(site string) {
	row, ok := s.index.facts.Get(siteFact(site))
	if !ok {
		return
	}
	s.under(row.number, func(e *entry) bool { return s.beside[e.ID] > 0 || s.next(e) && !s.lost(s.total) })
	if s.full() || s.lost(s.total) || s.shares[site] == 0 {
		return
	}
	var rest []*entry
	for id := range s.beside {
		if e, ok := s.index.candidates.Get(id); ok && e.site == site && e.placed() {
			rest = append(rest, e)
		}
	}
	slices.SortFunc(rest, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(s.beside[a.ID], s.beside[b.ID]), compareFree(a, b))
	})
	for _, e := range rest {
		if !s.next(e) {
			return
		}
	}
}
