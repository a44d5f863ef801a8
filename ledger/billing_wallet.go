package ledger

import (
	"maps"
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
)

// A Wallet is the money of one account. Who never had any has none.
type Wallet struct {
	Account  AccountName `cbor:"1,keyasint"`
	Balance  book.Amount `cbor:"2,keyasint"`
	Reserved book.Amount `cbor:"3,keyasint"` // for what runs: see Terms.Reserve

	// Limited says that the account may spend no more than its balance and
	// Limit. In an open mesh all are, with nothing to spend, until an operator
	// says otherwise; in a private mesh nobody is.
	Limited bool        `cbor:"4,keyasint,omitempty"`
	Limit   book.Amount `cbor:"5,keyasint,omitempty"` // how far the balance may go below zero

	// Short is since when more was spent than may be; zero if it is not so.
	// After Terms.Grace the account's instances are stopped.
	Short time.Time `cbor:"6,keyasint"`
}

// Free returns what the account may still promise. It is not bounded if the
// account is not limited.
func (w Wallet) Free() book.Amount {
	free, err := w.Balance.Plus(w.Limit)
	if err == nil {
		free, err = free.Minus(w.Reserved)
	}
	if err != nil {
		return maxBalance // limit and balance are bounded by it
	}
	return free
}

// settle notes whether more was spent than may be.
func (w Wallet) settle(at time.Time) Wallet {
	switch short := w.Limited && w.Balance+w.Limit < 0; {
	case !short:
		w.Short = time.Time{}
	case w.Short.IsZero():
		w.Short = at
	}
	return w
}

// maxBalance bounds balances, limits and payments, so that the sum of a few
// never leaves the range of an amount.
const maxBalance = book.Amount(1) << 60

// A till adds up what one command bills, and refuses what would take a balance
// out of its range.
type till struct {
	state   *State
	moved   map[string]book.Amount
	charges map[InstanceID]Charge // as they will be
}

func newTill(s *State) *till {
	return &till{s, make(map[string]book.Amount), make(map[InstanceID]Charge)}
}

func (t *till) copy() *till { return &till{t.state, maps.Clone(t.moved), maps.Clone(t.charges)} }

// take takes all of a transfer, or nothing.
func (t *till) take(transfer book.Transfer) error {
	sums := make([]book.Amount, len(transfer))
	for n, p := range transfer {
		sum, err := t.moved[p.Account].Plus(p.Amount)
		if err == nil {
			var balance book.Amount
			if balance, err = t.state.Wallet(AccountName(p.Account)).Balance.Plus(sum); err == nil && (balance > maxBalance || balance < -maxBalance) {
				err = book.ErrRange
			}
		}
		if err != nil {
			return refuse(ErrInvalid, "the balance of %s would be out of range", p.Account)
		}
		sums[n] = sum
	}
	for n, p := range transfer {
		t.moved[p.Account] = sums[n]
	}
	return nil
}

// move makes a transfer that a till has taken.
func (s *State) move(transfer book.Transfer) {
	for _, p := range transfer {
		w := s.Wallet(AccountName(p.Account))
		w.Balance += p.Amount
		s.setWallet(w.settle(s.counters.At))
	}
}

// reserve sets money aside, or gives it back.
func (s *State) reserve(account AccountName, sum book.Amount) {
	if sum == 0 {
		return
	}
	w := s.Wallet(account)
	w.Reserved += sum
	s.setWallet(w)
}

// afford refuses what an account cannot pay: what is due now, and what is to
// be set aside.
func (s *State) afford(c Charge, due book.Transfer, what string) error {
	w := s.Wallet(c.Payer)
	if !w.Limited {
		return nil
	}
	need := c.Reserved
	for _, p := range due {
		if p.Account == string(c.Payer) {
			need -= p.Amount
		}
	}
	switch free := w.Free(); {
	case need == 0 && w.Short.IsZero():
		return nil
	case !w.Short.IsZero():
		return refuse(ErrPayment, "%s: account %s has spent more than it may since %s (balance %s, limit %s): ask an operator of the mesh for credit",
			what, c.Payer, w.Short.UTC().Format(time.RFC3339), w.Balance, w.Limit)
	case need > free:
		return refuse(ErrPayment, "%s: account %s has %s to spend (balance %s, limit %s, set aside %s) and this takes %s: ask an operator of the mesh for credit",
			what, c.Payer, free, w.Balance, w.Limit, w.Reserved, need)
	}
	return nil
}

// mayStart refuses to start again what an account cannot pay.
func (s *State) mayStart(was, now Instance) error {
	if now.Requested != InstanceStarted || was.Requested == InstanceStarted {
		return nil
	}
	return s.afford(Charge{Payer: now.Account}, nil, "start "+string(now.Reference))
}
