package ledger

import (
	"encoding/binary"
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
)

// A Fact is what history keeps of an event: what kind, whom it concerns, what
// it moved. What else it recorded is there as hashes only: no parameter and no
// secret is in it.
type Fact struct {
	N        uint64 // numbers facts from 0, without gaps
	At       time.Time
	Kind     string // such as "allocated"; kinds are for ever
	Account  AccountName
	Computer ComputerID
	Instance InstanceID
	Moved    book.Transfer   // between wallets; sums to zero
	Used     book.Quantities // that was billed

	// Rows is the hashes, 32 bytes each, of the rows that the event put or
	// removed, in that order: see [State.Hash].
	Rows []byte
}

// A mover is an event that moves money.
type mover interface{ moved() book.Transfer }

// A user is an event that bills what was used.
type user interface{ used() book.Quantities }

// Chronicle makes s keep the facts of what it evolves, for TakeFacts. What
// happened under rules that know no journal is none.
func (s *State) Chronicle() { s.chronicled = true }

// TakeFacts returns the facts since it was called last.
func (s *State) TakeFacts() []Fact {
	facts := s.facts
	s.facts = nil
	return facts
}

// evolve records one event.
func (s *State) evolve(e Event) {
	if !s.chronicled {
		e.evolve(s)
		s.number()
		return
	}
	s.trace, s.tracing = nil, true
	e.evolve(s)
	s.tracing = false
	n, ok := s.number()
	if !ok {
		return
	}
	about := e.about()
	f := Fact{
		N: n, At: s.counters.At, Kind: e.kind(), Rows: s.trace,
		Account: about.account, Computer: about.computer, Instance: about.instance,
	}
	if m, ok := e.(mover); ok {
		f.Moved = m.moved()
	}
	if u, ok := e.(user); ok {
		f.Used = u.used()
	}
	s.facts = append(s.facts, f)
}

// number numbers the fact of an event, if the rules that hold now know facts.
func (s *State) number() (n uint64, ok bool) {
	if !s.knowsProjects() {
		return 0, false
	}
	n = s.counters.Facts
	s.counters.Facts++
	return n, true
}

// traced notes that an event put or removed the row of that hash.
func (s *State) traced(h Hash) {
	if !s.tracing {
		return
	}
	for _, w := range h {
		s.trace = binary.BigEndian.AppendUint64(s.trace, w)
	}
}

// JournalSecret returns what hides what the journal does not tell, or nil if
// the mesh has none yet. It stays with those who replicate.
func (s *State) JournalSecret() []byte {
	v, _ := s.secrets.get(Key{})
	return v.Journal
}

// keepSecret keeps the first secret that the mesh is given.
func (s *State) keepSecret(secret []byte) {
	if len(secret) > 0 && s.JournalSecret() == nil {
		s.setSecrets(secrets{secret})
	}
}

func (s *State) setSecrets(v secrets) { put(s, &s.secrets, Key{}, v) }

// secrets are what replicas alone know. There is one row.
type secrets struct {
	Journal []byte `cbor:"1,keyasint"`
}
