package ledger

import (
	"fmt"
	"iter"
	"time"
)

// Offered says what a computer offers.
type Offered struct{ Computer Computer }

func (e Offered) String() string {
	return fmt.Sprintf("offered %d partitions of %s", e.Computer.Partitions, e.Computer.title())
}

func (e Offered) kind() string { return "offered" }

func (e Offered) about() subject {
	return subject{account: e.Computer.Account, computer: e.Computer.ID}
}

func (e Offered) evolve(s *State) {
	was, _ := s.Computer(e.Computer.ID)
	s.setComputer(e.Computer)
	if was.Account != e.Computer.Account && s.knowsProjects() { // it left, and came back with others
		s.handOver(e.Computer, s.counters.At)
	}
}

// ComputerMarked says that a computer is lost, back, or gone for good.
type ComputerMarked struct {
	Computer ComputerID
	Name     string
	Account  AccountName
	State    ComputerState
	Since    time.Time
}

func (e ComputerMarked) String() string {
	switch e.State {
	case ComputerOnline:
		return "computer " + e.Name + " is back"
	case ComputerLost:
		return "computer " + e.Name + " is lost"
	case ComputerLeft:
		return "computer " + e.Name + " left"
	}
	return fmt.Sprintf("computer %s is %s", e.Name, e.State)
}

func (e ComputerMarked) kind() string { return "computer-marked" }

func (e ComputerMarked) about() subject {
	return subject{account: e.Account, computer: e.Computer}
}

func (e ComputerMarked) evolve(s *State) {
	c, ok := s.Computer(e.Computer)
	if !ok {
		return
	}
	c.State, c.Since = e.State, e.Since
	s.setComputer(c)
	s.forgetComputer(c)
}

func collect[V any](seq iter.Seq[V]) (all []V) {
	for v := range seq {
		all = append(all, v)
	}
	return all
}
