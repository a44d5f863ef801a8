package ledger

import (
	"fmt"
	"time"
)

// SetState starts, stops or destroys an instance.
type SetState struct {
	Account   AccountName   `cbor:"1,keyasint,omitempty"` // the caller's if empty
	Reference Reference     `cbor:"2,keyasint"`
	State     InstanceState `cbor:"3,keyasint"` // started, stopped or destroyed

	// Keep is how long the data of what is destroyed is kept: nil is for as
	// long as the instance's retention says.
	Keep *time.Duration `cbor:"24,keyasint,omitempty"`
}

// Kind returns "set-state".
func (SetState) Kind() string { return "set-state" }

func (c SetState) decide(s *State, x Context) ([]Event, error) {
	account, err := s.ActFor(x.Principal, c.Account, RightInstances)
	if err != nil {
		return nil, err
	}
	if !c.State.requestable() {
		return nil, refuse(ErrInvalid, "set state of %.80q: state %q: started, stopped or destroyed expected", string(c.Reference), c.State)
	}
	if err := c.checkKeep(s); err != nil {
		return nil, err
	}
	was, ok := s.InstanceByReference(account, c.Reference)
	switch {
	case ok && was.Settled() && c.State == InstanceDestroyed:
		return nil, nil
	case !ok || was.Settled():
		return nil, refuse(ErrNotFound, "instance %.80q of %s is not known", string(c.Reference), account)
	case was.leaves():
		return nil, refuse(ErrConflict, "instance %s moves: it is %s now", was.ID, was.Moved)
	case was.Requested == InstanceDestroyed && c.State != InstanceDestroyed:
		return nil, refuse(ErrConflict, "instance %s: it is being destroyed", c.Reference)
	}
	now := was
	s.ask(x, &now, c.State, c.Keep)
	if now.Asked != "" {
		return nil, refuse(ErrConflict, "instance %s: %s, which requested it, is %s: start that first", s.Path(was), s.above(was), now.Requested)
	}
	if err := s.mayStart(was, now); err != nil {
		return nil, err
	}
	return s.turn(x, was, now), nil
}

func (c SetState) checkKeep(s *State) error {
	if c.Keep == nil {
		return nil
	}
	what := fmt.Sprintf("%s %.80q", c.State, string(c.Reference))
	if err := s.needsTrees(what); err != nil {
		return err
	}
	if c.State != InstanceDestroyed {
		return refuse(ErrInvalid, "%s: only what is destroyed is kept for a while", what)
	}
	return checkKeep(what, c.Keep)
}
