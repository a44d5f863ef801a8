package ledger

import (
	"fmt"

	"github.com/slapmesh/slapmesh/ledger/book"
)

// A chronicle reads the facts of a random history, and says what is wrong.
type chronicle struct {
	next     uint64
	balances map[AccountName]book.Amount
	used     map[InstanceID]book.Quantities
	kinds    map[string]int
}

func newChronicle(s *State) *chronicle {
	s.Chronicle()
	return &chronicle{0, make(map[AccountName]book.Amount), make(map[InstanceID]book.Quantities), make(map[string]int)}
}

// read takes the facts that became of one command, which made so many events.
func (c *chronicle) read(s *State, events int) error {
	facts := s.TakeFacts()
	if len(facts) != events {
		return fmt.Errorf("%d facts of %d events", len(facts), events)
	}
	for _, f := range facts {
		switch {
		case f.N != c.next:
			return fmt.Errorf("fact %d, want %d", f.N, c.next)
		case len(f.Rows)%32 != 0:
			return fmt.Errorf("fact %d, %s: %d bytes of hashes", f.N, f.Kind, len(f.Rows))
		case !f.At.Equal(s.counters.At):
			return fmt.Errorf("fact %d, %s: at %v", f.N, f.Kind, f.At)
		}
		c.next++
		c.kinds[f.Kind]++
		for _, p := range f.Moved {
			c.balances[AccountName(p.Account)] += p.Amount
		}
		c.used[f.Instance], _ = c.used[f.Instance].Plus(f.Used)
	}
	if c.next != s.counters.Facts {
		return fmt.Errorf("%d facts, and the state counts %d", c.next, s.counters.Facts)
	}
	return nil
}

// check compares what the facts add up to with the state.
func (c *chronicle) check(s *State) error {
	for account, sum := range c.balances {
		if got := s.Wallet(account).Balance; got != sum {
			return fmt.Errorf("the facts of %s add up to %s, its balance is %s", account, sum, got)
		}
	}
	for _, w := range s.wallets.all() {
		if _, ok := c.balances[w.Account]; !ok && w.Balance != 0 {
			return fmt.Errorf("no fact is about %s, its balance is %s", w.Account, w.Balance)
		}
	}
	for _, b := range s.charges.all() {
		if got := c.used[b.Instance]; string(mustEncode(got)) != string(mustEncode(b.Used)) {
			return fmt.Errorf("the facts of %s add up to %+v, its bill to %+v", b.Instance, got, b.Used)
		}
	}
	return nil
}
