package ledger

import (
	"fmt"
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
)

// Allocated says that an instance holds a partition and an address.
type Allocated struct {
	Instance Instance
	On       string // the computer's name
	Charge   Charge // that begins; none where the mesh does not bill
	Due      book.Transfer
}

func (e Allocated) String() string {
	i := e.Instance
	if i.Shared {
		return fmt.Sprintf("allocated %s of %s inside %s on %s (%s)", i.Reference, i.Account, i.Host, e.On, i.ReleaseName)
	}
	return fmt.Sprintf("allocated %s of %s to %s/%s (%s) at %s", i.Reference, i.Account, e.On, PartitionName(i.Partition), i.ReleaseName, i.Address)
}

func (e Allocated) kind() string { return "allocated" }

func (e Allocated) about() subject { return e.Instance.subject() }

func (e Allocated) moved() book.Transfer { return e.Due }

func (e Allocated) used() book.Quantities { return e.Charge.Used }

func (e Allocated) evolve(s *State) {
	i := e.Instance
	s.counters.Instance = i.ID
	if !i.Shared {
		s.takeAddress()
		s.take(i.Computer, i.Partition, i.Needs)
	}
	s.record(i)
	s.supplyFor(i)
	if e.Charge.Instance != 0 {
		s.setCharge(e.Charge)
		s.move(e.Due)
		s.reserve(i.Account, e.Charge.Reserved)
	}
}

// Changed says that something else is requested of an instance.
type Changed struct{ Instance Instance }

func (e Changed) String() string {
	i := e.Instance
	text := fmt.Sprintf("changed %s of %s: %s requested, generation %d", i.Reference, i.Account, i.Requested, i.Generation)
	if !i.Kept.IsZero() {
		text += ", kept until " + i.Kept.UTC().Format(time.RFC3339)
	}
	return text
}

func (e Changed) kind() string { return "changed" }

func (e Changed) about() subject { return e.Instance.subject() }

func (e Changed) evolve(s *State) {
	was, _ := s.Instance(e.Instance.ID)
	s.resize(was, e.Instance)
	s.record(e.Instance)
	if e.Instance.Requested != InstanceDestroyed {
		s.supplyFor(e.Instance)
	}
}

// Observed says what a computer sees of an instance.
type Observed struct {
	Instance Instance
	Quiet    bool // neither state nor health changed
}

func (e Observed) String() string {
	i := e.Instance
	text := fmt.Sprintf("%s of %s is %s", i.Reference, i.Account, i.State)
	if i.Reason != "" {
		text += ": " + i.Reason
	}
	return text
}

func (e Observed) kind() string { return "observed" }

func (e Observed) about() subject {
	about := e.Instance.subject()
	about.quiet = e.Quiet
	return about
}

func (e Observed) evolve(s *State) { s.record(e.Instance) }

// Freed says that an instance is gone, and its partition and address with it.
type Freed struct {
	Instance Instance
	Cut      bool // its computer did not say so, and may have gone on
}

func (e Freed) String() string {
	if e.Instance.Shared {
		return fmt.Sprintf("destroyed %s of %s, inside %s", e.Instance.Reference, e.Instance.Account, e.Instance.Host)
	}
	return fmt.Sprintf("destroyed %s of %s, %s is free", e.Instance.Reference, e.Instance.Account, PartitionName(e.Instance.Partition))
}

func (e Freed) kind() string { return "freed" }

func (e Freed) about() subject { return e.Instance.subject() }

func (e Freed) evolve(s *State) {
	i := e.Instance
	was, _ := s.Instance(i.ID)
	if !i.Shared {
		s.returnAddress(i.Address)
	}
	s.record(i)
	if !i.Shared {
		s.release(i.Computer, i.Partition, was.Needs)
	}
	if c, ok := s.Charge(i.ID); ok {
		s.reserve(c.Payer, -c.Reserved)
		c.Until, c.Reserved = i.Changed, 0
		c.Cut = e.Cut && s.follows(RulesOfGroups)
		s.setCharge(c)
	}

	s.counters.Grave++
	s.setGrave(grave{s.counters.Grave, i.ID})
	if s.graves.len() > MaxDestroyed {
		s.forgetGrave()
	}
}

// forgetGrave forgets the instance that was destroyed longest ago, unless some
// that it requested are still known: those are found by its name.
func (s *State) forgetGrave() {
	k, oldest, _ := s.graves.first()
	drop(s, &s.graves, k)
	for range s.Children(oldest.Instance) {
		s.counters.Grave++
		s.setGrave(grave{s.counters.Grave, oldest.Instance})
		return
	}
	s.dropInstance(oldest.Instance)
	s.dropCharge(oldest.Instance)
}

// subject returns whom an event about i concerns.
func (i Instance) subject() subject {
	return subject{account: i.Account, computer: i.Computer, instance: i.ID}
}

// supplyFor orders the release of i for its computer, unless it is ordered.
func (s *State) supplyFor(i Instance) {
	p, ok := s.Supply(i.Computer, i.Release)
	if i.Shared || ok && p.Requested == SupplyAvailable {
		return
	}
	s.setSupply(waiting(i.Computer, i.Release, Context{At: i.Changed}))
}

// SupplyReported says how far a computer is with a supply.
type SupplyReported struct {
	Supply  Supply
	Release string
	Name    string      // of the computer
	Account AccountName // of its owner
	Quiet   bool        // only the progress changed
}

func (e SupplyReported) String() string {
	text := fmt.Sprintf("%s on %s is %s", e.Release, e.Name, e.Supply.State)
	if e.Supply.Error != "" {
		text += ": " + e.Supply.Error
	}
	return text
}

func (e SupplyReported) kind() string { return "supply-reported" }

func (e SupplyReported) about() subject {
	return subject{account: e.Account, computer: e.Supply.Computer, quiet: e.Quiet}
}

func (e SupplyReported) evolve(s *State) { s.setSupply(e.Supply) }

// SupplyDropped says that a computer has a release no more.
type SupplyDropped struct {
	Supply  Supply
	Release string
	Name    string      // of the computer
	Account AccountName // of its owner
}

func (e SupplyDropped) String() string { return fmt.Sprintf("removed %s from %s", e.Release, e.Name) }

func (e SupplyDropped) kind() string { return "supply-dropped" }

func (e SupplyDropped) about() subject {
	return subject{account: e.Account, computer: e.Supply.Computer}
}

func (e SupplyDropped) evolve(s *State) { s.dropSupply(e.Supply.Computer, e.Supply.Release) }
