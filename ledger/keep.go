package ledger

import (
	"iter"
	"time"
)

// An instance that is destroyed with a delay is kept: it is stopped, holds its
// partition and its data, is billed for that, and is destroyed when the delay
// has passed. Starting, stopping or requesting it again before that gives it
// back.

// linkKept finds what is kept by when it ends.
const linkKept = "kept"

// keptKey orders instances by when they end.
func keptKey(until time.Time, id InstanceID) Key {
	return Key{A: linkKept, B: until.UTC().Format("2006-01-02T15:04:05.000000000"), N: uint64(id)}
}

// checkKeep refuses a delay that nobody means.
func checkKeep(what string, keep *time.Duration) error {
	if keep != nil && (*keep < 0 || *keep > MaxKeep) {
		return refuse(ErrInvalid, "%s: keep %v: at most %v expected", what, *keep, MaxKeep)
	}
	return nil
}

// end notes that an instance is to be destroyed: now, or when its data has
// been kept for a while. Asked again, it ends no later than it would have.
func (s *State) end(x Context, i *Instance, keep *time.Duration) {
	delay := i.Retention
	if keep != nil {
		delay = *keep
	}
	computer, ok := s.Computer(i.Computer)
	lost := !ok || computer.State == ComputerLeft // and the data with it
	if !i.Kept.IsZero() && (keep == nil || delay > 0 && !x.At.Add(delay).Before(i.Kept)) {
		return
	}
	i.Asked, i.Kept = "", time.Time{}
	if delay == 0 || lost || i.Requested == InstanceDestroyed {
		i.Requested = InstanceDestroyed
		return
	}
	i.Requested, i.Kept = InstanceStopped, x.At.Add(delay)
}

// EndKept destroys what was kept for as long as it should be. The leader
// proposes it.
type EndKept struct{}

// Kind returns "end-kept".
func (EndKept) Kind() string { return "end-kept" }

func (c EndKept) decide(s *State, x Context) ([]Event, error) {
	if x.Principal.Kind != PrincipalSystem {
		return nil, refuse(ErrForbidden, "end what was kept: only the leader does")
	}
	if err := s.needsTrees("end what was kept"); err != nil {
		return nil, err
	}
	turn := turning{state: s, at: x}
	for i := range s.KeptUntil(x.At) {
		if len(turn.events) >= MaxStopped {
			break
		}
		now := i
		now.Requested, now.Kept = InstanceDestroyed, time.Time{}
		turn.turn(i, now)
	}
	return turn.events, nil
}

// KeptUntil iterates over the instances whose data was kept for as long as it
// should be at a moment, the longest ago first.
func (s *State) KeptUntil(at time.Time) iter.Seq[Instance] {
	return func(yield func(Instance) bool) {
		end := keptKey(at, 0)
		for k, id := range s.links.From(Key{A: linkKept}) {
			if k.A != linkKept || k.B > end.B {
				return
			}
			if i, ok := s.Instance(id); ok && !yield(i) {
				return
			}
		}
	}
}
