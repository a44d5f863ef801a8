package ledger

import (
	"fmt"

	"github.com/slapmesh/slapmesh/ledger/book"
)

// Move gives an instance another computer. In one decision the new partition is
// taken and its bill opened; the instance there has a new id and the old one's
// name, parameters and children. The old partition is held, and billed, until
// its computer says that it is empty.
//
// With its data (Data), an instance moves whatever is requested of it: the old
// one runs on until the new one's release is built, and is destroyed once the
// new one was started with all its promises held: see [Instance.From]. Without,
// it has to be stopped, and what was on the old computer is destroyed.
type Move struct {
	Instance InstanceID `cbor:"1,keyasint"`

	// Filter and Where say which computers will do from now on. Nil and empty
	// keep what is there, unless ReplaceFilter is set.
	Filter        map[string]string `cbor:"2,keyasint,omitempty"`
	Where         string            `cbor:"3,keyasint,omitempty"`
	ReplaceFilter bool              `cbor:"4,keyasint,omitempty"`

	// DiscardData says that who asks knows that the data is lost.
	DiscardData bool `cbor:"5,keyasint,omitempty"`

	// Avoid names computers that did not answer the peer that was asked.
	Avoid []ComputerID `cbor:"6,keyasint,omitempty"`

	// Data says that the data moves too.
	Data bool `cbor:"160,keyasint,omitempty"`
}

// Kind returns "move".
func (Move) Kind() string { return "move" }

func (c Move) decide(s *State, x Context) ([]Event, error) {
	if was, ok := s.Instance(c.Instance); ok && was.Moved != 0 {
		_, err := s.ActFor(x.Principal, was.Account, RightInstances)
		return nil, err // it did
	}
	was, err := s.ofCaller(x, c.Instance, "move")
	if err != nil {
		return nil, err
	}
	if err := c.check(s, was); err != nil {
		return nil, err
	}
	// The old one counts until it is gone.
	if err := (Request{Reference: was.Reference, Needs: was.Needs}).mayHave(s, x.Principal, was.Account); err != nil {
		return nil, err
	}
	now := was
	now.ID, now.Generation, now.State = s.counters.Instance+1, was.Generation+1, InstanceStopped
	if was.Requested == InstanceStarted {
		now.State = InstanceWaiting
	}
	now.From, now.FromComputer = c.source(was)
	now.Healthy, now.Reason, now.Connection, now.Ports, now.UDP, now.Changed = false, "", nil, nil, nil, x.At
	if c.Filter != nil || c.ReplaceFilter {
		now.Filter = c.Filter
	}
	if c.Where != "" || c.ReplaceFilter {
		now.Where = c.Where
	}
	release, _ := s.Release(was.Release)
	computer, err := s.findPlace(x, &now, release, c.Avoid, was.Computer)
	if CodeOf(err) == ErrExhausted {
		here, _ := s.Computer(was.Computer)
		return nil, refuse(ErrExhausted, "%v (it is on %s now)", err, here.title())
	}
	if err != nil {
		return nil, err
	}
	e, err := s.allocated(x, now, computer, "move "+s.Path(was))
	if err != nil {
		return nil, err
	}
	return append([]Event{Relocated{e, was.ID}}, c.leave(s, x, was, now)...), nil
}

func (c Move) check(s *State, was Instance) error {
	path := s.Path(was)
	computer, _ := s.Computer(was.Computer)
	if err := checkLabels("filter", c.Filter); err != nil {
		return err
	}
	switch {
	case len(c.Avoid) > MaxAvoid:
		return refuse(ErrInvalid, "move %s: %d computers to avoid, at most %d", path, len(c.Avoid), MaxAvoid)
	case was.Shared:
		return refuse(ErrInvalid, "move %s: it is inside %s: destroy it and request it again", path, was.Host)
	case was.Requested == InstanceDestroyed || !was.Kept.IsZero():
		return refuse(ErrConflict, "move %s: it is being destroyed", path)
	case c.Data && c.DiscardData:
		return refuse(ErrInvalid, "move %s: either its data moves, or it may be lost", path)
	case c.Data:
		return c.checkData(s, was)
	case was.Requested != InstanceStopped || was.State != InstanceStopped && computer.State == ComputerOnline:
		return refuse(ErrConflict, "move %s: it is %s: stop it first (slapd stop %s --wait)", path, was.State, path)
	case s.countShared(was.ID) > 0:
		return refuse(ErrConflict, "move %s: %d shared instances are inside it, whose data would be lost: destroy them first", path, s.countShared(was.ID))
	case !c.DiscardData:
		return refuse(ErrConflict, "move %s: its data does not move: say that it may be lost (--discard-data)", path)
	}
	_, err := where(c.Where)
	return err
}

// Relocated says that an instance has another computer, where it is a new one.
type Relocated struct {
	Allocated Allocated
	From      InstanceID
}

func (e Relocated) String() string {
	i := e.Allocated.Instance
	return fmt.Sprintf("moved %s of %s from %s to %s/%s at %s", i.Reference, i.Account, e.From, e.Allocated.On, PartitionName(i.Partition), i.Address)
}

func (e Relocated) kind() string { return "relocated" }

func (e Relocated) about() subject { return e.Allocated.about() }

func (e Relocated) moved() book.Transfer { return e.Allocated.Due }

func (e Relocated) used() book.Quantities { return e.Allocated.Charge.Used }

func (e Relocated) evolve(s *State) {
	now := e.Allocated.Instance
	e.Allocated.evolve(s)
	old, _ := s.Instance(e.From)
	for _, i := range collect(s.Tree(old)) {
		was := i
		if i.Parent == old.ID {
			i.Parent = now.ID
		}
		if i.Root == old.ID {
			i.Root = now.ID
		}
		if i.Parent != was.Parent || i.Root != was.Root {
			s.setInstance(i)
		}
	}
	if now.From == old.ID {
		s.moveShared(old, now)
	}
}
