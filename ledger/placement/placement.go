// Package placement chooses the computer of an instance.
//
// An [Index] knows the computers that could take an instance;
// [Index.Choose] picks the one that fits a [Want] best, or explains with a
// [Refusal] why none does. It is pure: the same computers and the same want
// give the same choice, whatever the order in which the computers were put.
//
// # The choice
//
// Among the computers that the want accepts, those that have the release
// built come first, then those with more free partitions, then the lower id.
// The index keeps computers sorted so for every fact that a want can name,
// and walks the shortest list; it does not scan all computers.
package placement

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"github.com/slapmesh/slapmesh/ledger/table"
)

// A Candidate is a computer that may take instances.
type Candidate struct {
	ID     string
	Name   string
	Owner  string            // account
	Free   int               // partitions
	Labels map[string]string // what filters compare, besides the facts below
	Grade  string
	Arch   string
	Public bool // takes anyone's, whatever its grade
	Weak   bool // its grade is too low for strangers
	Only   bool // takes its owner's only
	Closed bool // takes nobody's
	Silent bool // lost or left
}

// A Want is what an instance asks for.
type Want struct {
	Reference string            // for the explanation
	Account   string            // who asks
	Release   string            // digest; a computer that has built it is preferred
	Strangers bool              // accounts do not know one another
	Filter    map[string]string // all must be equal: labels, computer, grade, arch
	Avoid     []string          // computers that are chosen only if no other will do
}

// An Index keeps candidates sorted. Use [New].
type Index struct {
	candidates table.Table[string, *Candidate]
	places     table.Table[place, struct{}] // open candidates with room, under each of their facts
	counts     table.Table[string, int]     // places under each fact
	built      table.Index[string, string]  // computer → releases built there
}

// A place is a candidate under one of its facts. Under each fact, places are
// sorted by the order of choice.
type place struct {
	fact string
	free int
	id   string
}

func comparePlaces(a, b place) int {
	return cmp.Or(cmp.Compare(a.fact, b.fact), cmp.Compare(b.free, a.free), cmp.Compare(a.id, b.id))
}

// New returns an empty index.
func New() Index {
	return Index{
		candidates: table.New[string, *Candidate](cmp.Compare[string]),
		places:     table.New[place, struct{}](comparePlaces),
		counts:     table.New[string, int](cmp.Compare[string]),
		built:      table.NewIndex(cmp.Compare[string], cmp.Compare[string]),
	}
}

// Copy returns an index that is equal now and changes independently. It
// takes constant time.
func (x *Index) Copy() Index {
	return Index{x.candidates.Copy(), x.places.Copy(), x.counts.Copy(), x.built.Copy()}
}

// Put adds or replaces a candidate. Its labels must not change afterwards.
func (x *Index) Put(c Candidate) {
	x.unplace(c.ID)
	x.candidates.Set(c.ID, &c)
	x.place(c.ID)
}

// Delete removes a candidate.
func (x *Index) Delete(id string) {
	x.unplace(id)
	x.candidates.Delete(id)
}

// SetBuilt says whether a computer has a release built.
func (x *Index) SetBuilt(id, release string, built bool) {
	x.unplace(id)
	if built {
		x.built.Add(id, release)
	} else {
		x.built.Remove(id, release)
	}
	x.place(id)
}

func (x *Index) place(id string)   { x.replace(id, 1) }
func (x *Index) unplace(id string) { x.replace(id, -1) }

// replace adds (by 1) or removes (by -1) the places of a candidate.
func (x *Index) replace(id string, by int) {
	c, ok := x.candidates.Get(id)
	if !ok || c.Free <= 0 || c.Closed || c.Silent {
		return
	}
	for fact := range x.facts(c) {
		p := place{fact, c.Free, c.ID}
		if by > 0 {
			x.places.Set(p, struct{}{})
		} else {
			x.places.Delete(p)
		}
		n, _ := x.counts.Get(fact)
		if n += by; n > 0 {
			x.counts.Set(fact, n)
		} else {
			x.counts.Delete(fact)
		}
	}
}

// facts iterates over what a want may ask of c, the fact of being there
// first.
func (x *Index) facts(c *Candidate) iter.Seq[string] {
	return func(yield func(string) bool) {
		ok := yield("") &&
			yield(clause("computer", c.ID)) &&
			(c.Name == c.ID || yield(clause("computer", c.Name))) &&
			yield(clause("grade", c.Grade)) &&
			yield(clause("arch", c.Arch))
		if !ok {
			return
		}
		for k, v := range c.Labels {
			if !reserved(k) && !yield(clause(k, v)) {
				return
			}
		}
		for release := range x.built.Keys(c.ID) {
			if !yield(clause("built", release)) {
				return
			}
		}
	}
}

// reserved reports whether a key of a filter means a fact and not a label.
func reserved(key string) bool {
	return key == "computer" || key == "grade" || key == "arch" || key == "built"
}

func clause(key, value string) string { return key + "\x00" + value }

// Choose returns the computer for w, or a [*Refusal] that counts the reasons.
func (x *Index) Choose(w Want) (id string, err error) {
	lists := []string{""}
	for k, v := range w.Filter {
		if k != "built" {
			lists = append(lists, clause(k, v))
		}
	}
	shortest := slices.MinFunc(lists, func(a, b string) int {
		m, _ := x.counts.Get(a)
		n, _ := x.counts.Get(b)
		return cmp.Or(cmp.Compare(m, n), cmp.Compare(a, b))
	})
	for _, avoid := range [][]string{w.Avoid, nil} {
		for _, fact := range []string{clause("built", w.Release), shortest} {
			if id, ok := x.first(fact, w, avoid); ok {
				return id, nil
			}
		}
		if len(w.Avoid) == 0 {
			break
		}
	}
	return "", x.explain(w)
}

// first returns the first computer under fact that w accepts and that is not
// one to avoid.
func (x *Index) first(fact string, w Want, avoid []string) (string, bool) {
	for p := range x.places.From(place{fact: fact, free: maxFree}) {
		if p.fact != fact {
			break
		}
		c, _ := x.candidates.Get(p.id)
		if w.unfit(c) == nil && !slices.Contains(avoid, p.id) {
			return p.id, true
		}
	}
	return "", false
}

// maxFree is more than any computer has free, so that a search begins before
// them all.
const maxFree = 1 << 40

// Accepts reports whether a filter accepts the computer of that id, whether
// or not there is room.
func (x *Index) Accepts(id string, filter map[string]string) bool {
	c, ok := x.candidates.Get(id)
	if !ok {
		return false
	}
	w := Want{Filter: filter}
	return w.mismatch(c) == nil
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
