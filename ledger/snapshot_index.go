package ledger

import (
	"cmp"
	"maps"
	"slices"
)

// Later is what a snapshot brings for the large indexes whose keys do not come
// in order with the rows. It is sorted and put once all of it is there: a
// million keys are found a place in a tree one by one for three times as long.
type later struct {
	names  map[string][]laterName // by account
	earned []uint64               // see State.earningOf

	project map[AccountName]bool // which accounts are, of those that were asked for
}

func newLater() *later {
	return &later{names: make(map[string][]laterName), project: make(map[AccountName]bool)}
}

// A laterName is what State.references knows of an instance, but for the account.
type laterName struct {
	reference string
	parent    uint64
	id        InstanceID
}

func (l *later) name(k Key, id InstanceID) {
	l.names[k.A] = append(l.names[k.A], laterName{k.B, k.N, id})
}

func (l *later) earn(k uint64) { l.earned = append(l.earned, k) }

// settleIndexes puts what was kept for later.
func (s *State) settleIndexes() {
	for _, account := range slices.Sorted(maps.Keys(s.later.names)) {
		all := s.later.names[account]
		slices.SortFunc(all, func(a, b laterName) int {
			return cmp.Or(cmp.Compare(a.reference, b.reference), cmp.Compare(a.parent, b.parent))
		})
		for _, n := range all {
			s.references.Load(Key{A: account, B: n.reference, N: n.parent}, n.id)
		}
		delete(s.later.names, account)
	}
	slices.Sort(s.later.earned)
	for _, k := range s.later.earned {
		s.earners.Load(k, InstanceID(k&(1<<instanceBits-1)))
	}
	s.later = nil
}
