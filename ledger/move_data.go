package ledger

import (
	"iter"
	"time"
)

// When an instance moves with its data there are two for a while: the new one,
// which has the name, and which takes the data from the old one when that has
// stopped; and the old one, which is stopped once the new one's computer can
// take its place, and destroyed once that was started with all its promises
// held, or is destroyed itself. Whatever fails in between, one of the two has
// the data.

// checkData refuses to move data that cannot be had.
func (c Move) checkData(s *State, was Instance) error {
	path := s.Path(was)
	_, at := c.source(was)
	if computer, ok := s.Computer(at); !ok || computer.State != ComputerOnline {
		return refuse(ErrConflict, "move %s: computer %s, which has its data, does not answer: wait until it does, or say that the data may be lost (--discard-data)", path, computer.title())
	}
	_, err := where(c.Where)
	return err
}

// source returns who has the data of an instance that moves: another one, if it
// has not taken that over yet.
func (c Move) source(was Instance) (InstanceID, ComputerID) {
	switch {
	case !c.Data:
		return 0, ""
	case was.From != 0:
		return was.From, was.FromComputer
	}
	return was.ID, was.Computer
}

// leave says what becomes of the instance that now takes the place of, and of
// the one whose data it was to take.
func (c Move) leave(s *State, x Context, was, now Instance) []Event {
	gone := was
	gone.Moved = now.ID
	if now.From == was.ID {
		gone.MovedTo, gone.Changed = now.Computer, x.At
		return []Event{Changed{gone}}
	}
	gone.Requested, gone.Asked = InstanceDestroyed, ""
	if now.From == 0 {
		return s.changed(x, was, gone)
	}
	gone.From, gone.FromComputer = 0, "" // it has nothing that another one waits for
	events := s.changed(x, was, gone)
	if source, ok := s.Instance(now.From); ok {
		source.Moved, source.MovedTo, source.Changed = now.ID, now.Computer, x.At
		events = append(events, Changed{source})
	}
	return events
}

// succeed says what a report of an instance means for the one whose data it
// takes, and notes in now if it needs that no longer.
func (s *State) succeed(x Context, now *Instance) []Event {
	source, ok := s.Instance(now.From)
	if !ok {
		return nil
	}
	next := source
	switch {
	case now.State == InstanceStarted && now.Healthy:
		now.From, now.FromComputer = 0, ""
		if source.Settled() {
			return nil
		}
		next.Requested, next.Asked = InstanceDestroyed, ""
	case now.State == InstanceStarting && source.Requested == InstanceStarted:
		next.Requested, next.Asked = InstanceStopped, ""
	default:
		return nil
	}
	return s.changed(x, source, next)
}

// takeAlong says what becomes of the instance whose data another one is to
// take, which is stopped or destroyed before that.
func (s *State) takeAlong(x Context, now Instance) []Event {
	source, ok := s.Instance(now.From)
	if !ok || source.Settled() || source.Moved != now.ID {
		return nil
	}
	next := source
	switch {
	case now.Requested == InstanceDestroyed && source.Requested != InstanceDestroyed:
		next.Requested, next.Asked, next.Kept = InstanceDestroyed, "", time.Time{}
	case now.Requested == InstanceStopped && source.Requested == InstanceStarted:
		next.Requested, next.Asked = InstanceStopped, ""
	default:
		return nil
	}
	return s.changed(x, source, next)
}

// leaves reports whether i only lives on until another instance has its data.
func (i Instance) leaves() bool { return i.MovedTo != "" }

// moveShared brings what is inside one instance into the one that takes its
// place, and so what was and is to be dropped there.
func (s *State) moveShared(old, now Instance) {
	for _, inside := range []iter.Seq[Instance]{s.SharedOn(old.ID), s.GoneFrom(old.ID)} {
		for _, shared := range collect(inside) {
			shared.Host, shared.Computer, shared.Partition = now.ID, now.Computer, now.Partition
			if shared.Address.IsValid() {
				shared.Address = now.Address
			}
			s.setInstance(shared)
		}
	}
}
