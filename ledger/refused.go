package ledger

import (
	"fmt"
	"time"
)

// Refusals that matter are remembered: somebody asked what they may not. Of
// one principal it is told once in refusalPause, and of maxRefusals
// principals, so that nobody fills the journal with them.
const (
	refusalPause = time.Hour
	maxRefusals  = 256
)

// A refusals row says when a principal was told of last.
type refusals struct {
	Principal string    `cbor:"1,keyasint"`
	At        time.Time `cbor:"2,keyasint"`
}

// Refused says that somebody asked what they may not.
type Refused struct {
	Principal Principal
	Command   string // kind
	Code      Code
	At        time.Time
	Forget    string // a principal that was told of long ago
}

func (e Refused) String() string {
	return fmt.Sprintf("refused %s of %s (%s)", e.Command, e.Principal, e.Code)
}

func (e Refused) kind() string { return "refused" }

func (e Refused) about() subject {
	return subject{account: e.Principal.Account, computer: ComputerID(e.Principal.Peer)}
}

func (e Refused) evolve(s *State) {
	if e.Forget != "" {
		drop(s, &s.refusals, Key{A: e.Forget})
	}
	s.setRefusal(refusals{e.Principal.String(), e.At})
}

func (s *State) setRefusal(r refusals) { put(s, &s.refusals, Key{A: r.Principal}, r) }

// refused returns what is to be remembered of a refusal, if anything is.
func (s *State) refused(c Command, x Context, err error) []Event {
	code := CodeOf(err)
	if code != ErrForbidden && code != ErrUnauthorized || !s.knowsProjects() {
		return nil
	}
	who := x.Principal.String()
	if len(who) > MaxReference { // no principal that ever was
		return nil
	}
	e := Refused{Principal: x.Principal, Command: c.Kind(), Code: code, At: x.At}
	if was, ok := s.refusals.get(Key{A: who}); ok {
		if x.At.Sub(was.At) < refusalPause {
			return nil
		}
		return []Event{e}
	}
	if s.refusals.len() < maxRefusals {
		return []Event{e}
	}
	for _, was := range s.refusals.all() {
		if x.At.Sub(was.At) >= refusalPause {
			e.Forget = was.Principal
			return []Event{e}
		}
	}
	return nil
}
