package ledger

import (
	"time"

	"github.com/slapmesh/slapmesh/ledger/placement"
)

// Placement knows each computer with its owner's rates. They change when the
// owner says so, when its time comes, or when the computer changes hands; the
// computer is put again then, so that a choice only has to look.

// rates returns what an owner asks now, as placement compares it. Older rules
// compare nothing.
func (s *State) rates(owner AccountName) placement.Rates {
	if !s.knowsProjects() {
		return placement.Rates{}
	}
	return ranked(s.Rates(owner, "", s.counters.At))
}

// reprice takes note of what an owner asks for its computers, now and later.
func (s *State) reprice(was, now Price) {
	if s.partial {
		return
	}
	for _, v := range was.List {
		s.upcoming.Delete(due(v.From, now.Account))
	}
	for _, v := range now.List {
		if v.From.After(s.counters.At) {
			s.upcoming.Set(due(v.From, now.Account), 0)
		}
	}
	if ranked(was.List.At(s.counters.At)) != ranked(now.List.At(s.counters.At)) {
		s.placeAll(now.Account)
	}
}

// due is where a price that is to come waits for its time.
func due(at time.Time, owner AccountName) Key {
	return Key{A: at.UTC().Format("2006-01-02T15:04:05.000000000"), B: string(owner)}
}

// enforce puts the computers again whose prices have come into force.
func (s *State) enforce() {
	for s.upcoming.Len() > 0 {
		k, _, _ := s.upcoming.Min()
		if k.A > due(s.counters.At, "").A {
			return
		}
		s.upcoming.Delete(k)
		s.placeAll(AccountName(k.B))
	}
}

// placeAll puts the computers of an account again.
func (s *State) placeAll(owner AccountName) {
	for id := range s.owned.Keys(owner) {
		if c, ok := s.Computer(id); ok {
			s.place(c)
		}
	}
}
