package ledger

import (
	"github.com/slapmesh/slapmesh/ledger/placement"
)

// The policy spread asks how many instances of an account each computer holds.
// That is counted as they come and go: an account may have a million.

// respread counts an instance that is there now, and one that was before; the
// zero Instance is none.
func (s *State) respread(was, now Instance) {
	if s.partial || was.Account == now.Account && was.Computer == now.Computer && was.stands() == now.stands() {
		return
	}
	if was.stands() {
		s.spread(Key{A: string(was.Account), B: string(was.Computer)}, -1)
	}
	if now.stands() {
		s.spread(Key{A: string(now.Account), B: string(now.Computer)}, 1)
	}
}

// stands reports whether i is an instance that is somewhere.
func (i Instance) stands() bool { return i.ID != 0 && !i.Settled() }

// spread adds to what a computer holds of an account.
func (s *State) spread(k Key, by int64) {
	if s.loading != nil { // many rows of a few accounts
		if s.spreading == nil {
			s.spreading = make(map[Key]int64)
		}
		s.spreading[k] += by
		return
	}
	n, _ := s.spreads.Get(k)
	if n += by; n == 0 {
		s.spreads.Delete(k)
		return
	}
	s.spreads.Set(k, n)
}

// settleSpread adds what the rows of a snapshot stand for.
func (s *State) settleSpread() {
	for k, n := range s.spreading {
		s.spread(k, n)
	}
	s.spreading = nil
}

// beside lists what one more instance of the account is to be spread from.
func (s *State) beside(account AccountName, policy placement.Policy) []placement.Held {
	if policy != placement.Spread {
		return nil
	}
	var out []placement.Held
	for k, n := range s.spreads.From(Key{A: string(account)}) {
		if k.A != string(account) {
			break
		}
		out = append(out, placement.Held{Computer: k.B, Instances: int(n)})
	}
	return out
}
