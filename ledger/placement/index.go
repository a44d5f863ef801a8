package placement

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"

	"github.com/slapmesh/slapmesh/ledger/table"
)

// An Index keeps candidates sorted. Use [New].
type Index struct {
	candidates table.Table[string, *entry]
	named      table.Index[string, string]    // name → computers
	built      table.Index[string, string]    // computer → releases built there
	facts      table.Table[string, factRow]   // those of open candidates with room
	places     table.Table[place, struct{}]   // the same candidates, under each of their facts
	sites      table.Table[string, siteRow]   // of open candidates
	siteOrder  table.Table[siteRow, struct{}] // those with room
	freest     ranking                        // open candidates with room, as the default choice has them
	packed     ranking                        // … the fullest first
	priced     ranking                        // … those with the same rates together
	placed     int                            // open candidates with room
	next       uint32                         // number of the next fact
}

// An entry is a candidate with what is computed from it. It never changes.
type entry struct {
	Candidate
	site   string
	load   int
	has    Resources // Capacity; what is not known is without bound
	room   Resources // what is free of it
	facts  []fact    // if it has a place
	builds []fact    // the releases built there, if it has a place
}

// A fact is something that a want may ask of a computer. It has a number so
// that places are small.
type fact struct {
	text   string
	number uint32
}

type factRow struct {
	number uint32
	count  int // places under it
}

// A place is a candidate under one of its facts. Under each fact, places are
// sorted by the order of the default choice.
type place struct {
	fact  uint32
	free  int32
	entry *entry // nil sorts before every other
}

func comparePlaces(a, b place) int {
	if c := cmp.Or(cmp.Compare(a.fact, b.fact), cmp.Compare(b.free, a.free)); c != 0 || a.entry == b.entry {
		return c
	}
	switch {
	case a.entry == nil:
		return -1
	case b.entry == nil:
		return 1
	}
	return cmp.Compare(a.entry.ID, b.entry.ID)
}

// maxFree is more than any computer has free, so that a search begins before
// them all.
const maxFree = 1 << 30

// A siteRow counts the partitions of the open candidates of a site.
type siteRow struct {
	site       string
	used, free int64
	all, open  int // candidates, those with room
}

// compareSites sorts the sites of which a smaller share is used first, then
// those with more free.
func compareSites(a, b siteRow) int {
	ah, al := bits.Mul64(uint64(a.used), uint64(b.used+b.free))
	bh, bl := bits.Mul64(uint64(b.used), uint64(a.used+a.free))
	return cmp.Or(cmp.Compare(ah, bh), cmp.Compare(al, bl), cmp.Compare(b.free, a.free), cmp.Compare(a.site, b.site))
}

// New returns an empty index.
func New() Index {
	return Index{
		candidates: table.New[string, *entry](cmp.Compare[string]),
		named:      table.NewIndex(cmp.Compare[string], cmp.Compare[string]),
		built:      table.NewIndex(cmp.Compare[string], cmp.Compare[string]),
		facts:      table.New[string, factRow](cmp.Compare[string]),
		places:     table.New[place, struct{}](comparePlaces),
		sites:      table.New[string, siteRow](cmp.Compare[string]),
		siteOrder:  table.New[siteRow, struct{}](compareSites),
		freest:     newRanking(compareFree),
		packed:     newRanking(comparePacked),
		priced:     newRanking(comparePriced),
	}
}

// Copy returns an index that is equal now and changes independently. It
// takes constant time.
func (x *Index) Copy() Index {
	return Index{
		x.candidates.Copy(), x.named.Copy(), x.built.Copy(), x.facts.Copy(), x.places.Copy(),
		x.sites.Copy(), x.siteOrder.Copy(), x.freest.copied(), x.packed.copied(), x.priced.copied(), x.placed, x.next,
	}
}

// Put adds or replaces a candidate. Its labels must not change afterwards.
func (x *Index) Put(c Candidate) {
	c.Free = min(c.Free, maxFree)
	now := &entry{Candidate: c, site: c.Site(), load: c.Load(), has: c.Capacity.limits()}
	now.room = now.has.less(c.Reserved)
	was, _ := x.candidates.Get(c.ID)
	if was != nil && was.placed() && now.placed() && sameFacts(was, now) {
		now.facts, now.builds = was.facts, was.builds
		x.move(was, now)
	} else {
		if was != nil {
			x.displace(was)
		}
		if now.placed() {
			x.learn(now)
			x.move(nil, now)
		}
	}
	x.moveSite(was, now)
	x.rename(was, now)
	x.candidates.Set(c.ID, now)
}

// Delete removes a candidate.
func (x *Index) Delete(id string) {
	if was, ok := x.candidates.Delete(id); ok {
		x.displace(was)
		x.moveSite(was, nil)
		x.rename(was, nil)
	}
}

// rename finds now by its name instead of was; either may be nil.
func (x *Index) rename(was, now *entry) {
	if was != nil && now != nil && was.Name == now.Name {
		return
	}
	if was != nil {
		x.named.Remove(was.Name, was.ID)
	}
	if now != nil {
		x.named.Add(now.Name, now.ID)
	}
}

// SetBuilt says whether a computer has a release built.
func (x *Index) SetBuilt(id, release string, built bool) {
	if built {
		x.built.Add(id, release)
	} else {
		x.built.Remove(id, release)
	}
	was, ok := x.candidates.Get(id)
	if !ok || !was.placed() {
		return
	}
	now := *was
	now.builds = x.learnBuilds(id)
	for _, f := range was.builds {
		x.unknow(f)
	}
	x.move(was, &now)
	x.candidates.Set(id, &now)
}

// displace takes a candidate from where it is to be found.
func (x *Index) displace(was *entry) {
	if was.placed() {
		x.move(was, nil)
		for f := range was.all() {
			x.unknow(f)
		}
	}
}

// placed reports whether e is to be found under its facts.
func (e *entry) placed() bool { return e.Free > 0 && e.open() }

// all iterates over the facts of e.
func (e *entry) all() func(yield func(fact) bool) {
	return func(yield func(fact) bool) {
		for _, list := range [][]fact{e.facts, e.builds} {
			for _, f := range list {
				if !yield(f) {
					return
				}
			}
		}
	}
}

// move replaces the places of was by those of now; either may be nil.
func (x *Index) move(was, now *entry) {
	if was != nil {
		for f := range was.all() {
			x.places.Delete(place{f.number, int32(was.Free), was})
		}
		x.placed--
		x.freest.remove(was)
		x.packed.remove(was)
		x.priced.remove(was)
	}
	if now != nil {
		for f := range now.all() {
			x.places.Set(place{f.number, int32(now.Free), now}, struct{}{})
		}
		x.placed++
		x.freest.insert(now)
		x.packed.insert(now)
		x.priced.insert(now)
	}
}

// learn gives e its facts.
func (x *Index) learn(e *entry) {
	texts := []string{clause("grade", e.Grade), clause("arch", e.Arch), ownerFact(e.Owner), siteFact(e.site)}
	for _, k := range slices.Sorted(maps.Keys(e.Labels)) {
		if !reserved(k) {
			texts = append(texts, clause(k, e.Labels[k]))
		}
	}
	e.facts = make([]fact, len(texts))
	for n, text := range texts {
		e.facts[n] = x.know(text)
	}
	e.builds = x.learnBuilds(e.ID)
}

func (x *Index) learnBuilds(id string) (builds []fact) {
	for release := range x.built.Keys(id) {
		builds = append(builds, x.know(clause("built", release)))
	}
	return builds
}

// know counts one more place under a fact.
func (x *Index) know(text string) fact {
	row, ok := x.facts.Get(text)
	if !ok {
		row.number = x.next
		x.next++
	}
	row.count++
	x.facts.Set(text, row)
	return fact{text, row.number}
}

// unknow counts one place less.
func (x *Index) unknow(f fact) {
	row, _ := x.facts.Get(f.text)
	if row.count--; row.count > 0 {
		x.facts.Set(f.text, row)
	} else {
		x.facts.Delete(f.text)
	}
}

// moveSite counts now at its site instead of was; either may be nil.
func (x *Index) moveSite(was, now *entry) {
	if was != nil && now != nil && was.site != now.site {
		x.moveSite(was, nil)
		was = nil
	}
	e := cmp.Or(now, was)
	old, _ := x.sites.Get(e.site)
	row := old
	row.site = e.site
	row.count(was, -1)
	row.count(now, 1)
	if row == old {
		return
	}
	if old.open > 0 {
		x.siteOrder.Delete(old)
	}
	if row.all == 0 {
		x.sites.Delete(e.site)
		return
	}
	x.sites.Set(e.site, row)
	if row.open > 0 {
		x.siteOrder.Set(row, struct{}{})
	}
}

// count adds a candidate (by 1) or takes it away (by -1).
func (row *siteRow) count(e *entry, by int) {
	if e == nil || !e.open() {
		return
	}
	row.used += int64(by * max(0, e.Used))
	row.free += int64(by * max(0, e.Free))
	row.all += by
	if e.placed() {
		row.open += by
	}
}

// sameFacts reports whether two states of one computer have the same facts,
// what is built there aside.
func sameFacts(a, b *entry) bool {
	return a.Name == b.Name && a.Owner == b.Owner && a.Grade == b.Grade && a.Arch == b.Arch &&
		a.site == b.site && maps.Equal(a.Labels, b.Labels)
}

// reserved reports whether a key of a filter means a fact and not a label.
func reserved(key string) bool {
	return key == "computer" || key == "grade" || key == "arch" || key == "built"
}

func clause(key, value string) string { return key + "\x00" + value }

// No label has an empty key, so these cannot be taken for one.
func ownerFact(owner string) string { return "\x00o" + owner }
func siteFact(site string) string   { return "\x00s" + site }
