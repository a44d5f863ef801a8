package daemon

import (
	"context"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/protocol"
)

// EmptyComputer implements [protocol.Owners].
func (s *service) EmptyComputer(ctx context.Context, in protocol.EmptyInput) ([]protocol.Leaving, error) {
	v := s.books.View()
	who, err := s.who(v)
	if err != nil {
		return nil, err
	}
	c, err := s.computer(v, in.Computer)
	if err != nil {
		return nil, err
	}
	if !s.may(v, c.Account, ledger.RightAdmin) {
		return nil, protocol.Errorf(protocol.ErrForbidden, "empty computer %s: it belongs to %s, and you are %s", c.Name, c.Account, who.Account)
	}
	out := []protocol.Leaving{}
	for i := range v.InstancesOn(c.ID) {
		if i.Requested != ledger.InstanceDestroyed {
			out = append(out, s.leaving(ctx, v, i))
		}
	}
	return out, nil
}

// leaving moves an instance elsewhere, if it is not on its way, and says what
// becomes of it.
func (s *service) leaving(ctx context.Context, v *ledger.State, i ledger.Instance) protocol.Leaving {
	l := protocol.Leaving{Instance: i.ID.String(), Account: string(i.Account)}
	if s.may(v, i.Account, ledger.RightRead) {
		l.Reference = v.Path(i)
	}
	switch {
	case i.MovedTo != "":
		l.To = nameOf(v, i.MovedTo)
		return l
	case !i.Kept.IsZero():
		l.Why = "it was destroyed, and its data is kept until " + i.Kept.UTC().Format("2006-01-02 15:04 MST")
		return l
	case !s.may(v, i.Account, ledger.RightInstances):
		l.Why = "it belongs to " + string(i.Account) + ": ask them to move it"
		return l
	}
	now, err := s.move(ctx, v, i, ledger.Move{Instance: i.ID, Data: true, Avoid: s.silent()})
	if err != nil {
		l.Why = err.Error()
		return l
	}
	l.To = nameOf(v, now.Computer)
	return l
}

// nameOf returns what people call a computer.
func nameOf(v *ledger.State, id ledger.ComputerID) string {
	if c, ok := v.Computer(id); ok && c.Name != "" {
		return c.Name
	}
	return string(id)
}

// move proposes that an instance moves, and returns what it is then. What
// cannot move with its data is refused before anything is decided.
func (s *service) move(ctx context.Context, v *ledger.State, was ledger.Instance, c ledger.Move) (ledger.Instance, error) {
	if c.Data && was.Requested != ledger.InstanceDestroyed {
		if err := s.movable(ctx, v, was); err != nil {
			return was, protocol.Errorf(protocol.ErrConflict, "move %s: its data cannot move: %v (--discard-data leaves it behind)", v.Path(was), err)
		}
	}
	v, err := s.propose(ctx, c)
	if err != nil {
		return was, err
	}
	now, ok := v.Instance(was.ID)
	if now.Moved != 0 {
		now, ok = v.Instance(now.Moved)
	}
	if !ok {
		return was, notFound(string(was.Reference))
	}
	return now, nil
}
