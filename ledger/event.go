package ledger

import (
	"fmt"
	"time"
)

// An Event is a fact: something that the mesh has agreed. Events are what
// watchers see and what golden tests print.
type Event interface {
	fmt.Stringer

	// kind is the event's name in the journal. It is never changed.
	kind() string

	// about says whom the event concerns.
	about() subject

	// evolve records the event. It cannot fail.
	evolve(s *State)
}

// A subject is whom an event concerns. A quiet event is not remembered: it
// would push out those that matter.
type subject struct {
	account  AccountName
	computer ComputerID
	instance InstanceID
	quiet    bool
}

// An Entry is an event as it is remembered for people: the last [MaxEvents]
// are.
type Entry struct {
	N        uint64      `cbor:"1,keyasint"` // without gaps
	At       time.Time   `cbor:"2,keyasint"`
	Account  AccountName `cbor:"3,keyasint,omitempty"`
	Computer ComputerID  `cbor:"4,keyasint,omitempty"`
	Instance InstanceID  `cbor:"5,keyasint,omitempty"`
	Text     string      `cbor:"6,keyasint"`
}

// remember keeps e among the recent events, and forgets the oldest.
func (s *State) remember(e Event) {
	about := e.about()
	if about.quiet {
		return
	}
	s.counters.Event++
	n := s.counters.Event
	put(s, &s.events, Key{N: n}, Entry{n, s.counters.At, about.account, about.computer, about.instance, e.String()})
	s.forgetEvents()
}

// forgetEvents drops the events that are too old. A slice, which has but
// some of them, drops the same ones by the same rule.
func (s *State) forgetEvents() {
	for {
		k, r, ok := s.events.tree.Min()
		if !ok || k.N+MaxEvents > s.counters.Event {
			return
		}
		s.events.tree.Delete(k)
		s.sum.remove(r.hash(tableEvents, k))
	}
}
