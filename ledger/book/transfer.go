package book

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"slices"
)

// A Posting is what a transfer does to one account.
type Posting struct {
	Account string `cbor:"1,keyasint" json:"account"`
	Amount  Amount `cbor:"2,keyasint" json:"amount"` // gained; lost if negative
}

// A Transfer moves money: one posting for each account, in the order of their
// names, none of them zero, with the sum zero.
type Transfer []Posting

// errUnbalanced says that postings are no transfer.
var errUnbalanced = errors.New("transfer does not sum to zero")

// NewTransfer combines postings into a transfer. Those to one account are
// added up. It is empty if nothing moves.
func NewTransfer(postings ...Posting) (Transfer, error) {
	all := slices.Clone(postings)
	slices.SortStableFunc(all, func(a, b Posting) int { return cmp.Compare(a.Account, b.Account) })
	var t Transfer
	for _, p := range all {
		if n := len(t); n > 0 && t[n-1].Account == p.Account {
			sum, err := t[n-1].Amount.Plus(p.Amount)
			if err != nil {
				return nil, err
			}
			t[n-1].Amount = sum
			continue
		}
		t = append(t, p)
	}
	t = slices.DeleteFunc(t, func(p Posting) bool { return p.Amount == 0 })
	return t, t.Check()
}

// Check refuses what is not a transfer.
func (t Transfer) Check() error {
	var sum Amount
	for n, p := range t {
		var err error
		if sum, err = sum.Plus(p.Amount); err != nil {
			return err
		}
		if p.Amount == 0 || n > 0 && t[n-1].Account >= p.Account {
			return fmt.Errorf("transfer: posting %d: not in order, or of nothing", n)
		}
	}
	if sum != 0 {
		return fmt.Errorf("%w but to %s", errUnbalanced, sum)
	}
	return nil
}

// Share returns a part of an amount that is not negative, in millionths, of
// which there are at most a million, rounded down.
func Share(a Amount, millionths uint32) Amount {
	const whole = 1_000_000
	hi, lo := bits.Mul64(uint64(max(0, a)), uint64(min(millionths, whole)))
	part, _ := bits.Div64(hi, lo, whole)
	return Amount(part)
}
