package daemon

import (
	"context"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/protocol"
)

// SetComputer implements [protocol.Owners].
func (s *service) SetComputer(ctx context.Context, in protocol.ComputerInput) (protocol.Computer, error) {
	return s.steward(ctx, in.Computer, func(id ledger.ComputerID) ledger.Command {
		return ledger.SetComputer{Computer: id, Scope: ledger.Scope(in.Scope), Labels: in.Labels, Reset: in.Reset}
	})
}

// DrainComputer implements [protocol.Owners].
func (s *service) DrainComputer(ctx context.Context, in protocol.DrainInput) (protocol.Computer, error) {
	return s.steward(ctx, in.Computer, func(id ledger.ComputerID) ledger.Command {
		return ledger.DrainComputer{Computer: id, Drained: in.Drained}
	})
}

// RetireComputer implements [protocol.Owners].
func (s *service) RetireComputer(ctx context.Context, in protocol.RetireInput) (protocol.Computer, error) {
	return s.steward(ctx, in.Computer, func(id ledger.ComputerID) ledger.Command {
		return ledger.RetireComputer{Computer: id, Force: in.Force}
	})
}

// GiveComputer implements [protocol.Owners].
func (s *service) GiveComputer(ctx context.Context, in protocol.GiveInput) (protocol.Computer, error) {
	return s.steward(ctx, in.Computer, func(id ledger.ComputerID) ledger.Command {
		return ledger.GiveComputer{Computer: id, Account: ledger.AccountName(in.Account)}
	})
}

// steward proposes a command about a computer and returns what it is then.
func (s *service) steward(ctx context.Context, named string, command func(ledger.ComputerID) ledger.Command) (protocol.Computer, error) {
	v := s.books.View()
	if _, err := s.who(v); err != nil {
		return protocol.Computer{}, err
	}
	c, err := s.computer(v, named)
	if err != nil {
		return protocol.Computer{}, err
	}
	if v, err = s.propose(ctx, command(c.ID)); err != nil {
		return protocol.Computer{}, err
	}
	now, ok := v.Computer(c.ID)
	if !ok {
		return protocol.Computer{}, protocol.Errorf(protocol.ErrNotFound, "computer %s: it left meanwhile", c.Name)
	}
	return wireComputer(now), nil
}
