// Package invoice adds up what history says of one account in one period. It
// is pure: it is given entries and knows no ledger, so that anybody who has a
// proven part of the journal gets the same sums.
package invoice

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/ledger/journal"
)

// MaxLines is how many instances and payments an invoice may have.
const MaxLines = 10_000

// An Invoice is what an account had, paid and got in a period.
type Invoice struct {
	Account     string
	From, Until time.Time // from one moment on, and before the other

	Opening, Closing journal.Amount // balances
	Lines            []Line         // by instance
	Payments         []Payment      // in their order

	Paid   journal.Amount // for instances
	Earned journal.Amount // from instances of others
}

// A Line is what one instance used and cost.
type Line struct {
	Instance uint64
	Payer    string
	Computer string // the last one
	First    time.Time
	Last     time.Time         // when it was billed
	Used     map[string]uint64 // how much of each unit

	// Amount is what the account paid for it, or, if another one pays, got.
	Amount journal.Amount
}

// A Payment is money that came or went for no instance.
type Payment struct {
	N      uint64 // of the entry
	At     time.Time
	Kind   string
	Amount journal.Amount // that the account got; negative if it paid
	Others []journal.Posting
}

// Errors of Draw.
var (
	ErrTooLong = fmt.Errorf("more than %d lines: ask for a shorter period", MaxLines)
	errRange   = errors.New("the sum is out of range")
)

// Draw adds up the entries that concern an account, which must come in the
// order of their numbers from the first on. Zero moments bound nothing.
func Draw(account string, from, until time.Time, entries iter.Seq2[journal.Entry, error]) (Invoice, error) {
	d := drawing{Invoice: Invoice{Account: account, From: from, Until: until}, lines: make(map[uint64]*Line)}
	for e, err := range entries {
		if err != nil {
			return Invoice{}, fmt.Errorf("invoice of %s: %w", account, err)
		}
		at := e.At.Time()
		if !until.IsZero() && !at.Before(until) {
			break // the ledger's time never runs back
		}
		if err := d.entry(&e, at); err != nil {
			return Invoice{}, fmt.Errorf("invoice of %s: entry %d: %w", account, e.N, err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(d.lines)) {
		d.Lines = append(d.Lines, *d.lines[id])
	}
	return d.Invoice, nil
}

type drawing struct {
	Invoice
	lines map[uint64]*Line
}

func (d *drawing) entry(e *journal.Entry, at time.Time) error {
	amount, err := d.share(e)
	if err != nil {
		return err
	}
	if d.Closing, err = plus(d.Closing, amount); err != nil {
		return err
	}
	if at.Before(d.From) {
		d.Opening = d.Closing
		return nil
	}
	if e.Instance != 0 {
		if amount == 0 && len(e.Used) == 0 {
			return nil
		}
		return d.line(e, at, amount)
	}
	if amount == 0 {
		return nil
	}
	others := slices.DeleteFunc(slices.Clone(e.Postings), func(p journal.Posting) bool { return p.Account == d.Account })
	d.Payments = append(d.Payments, Payment{e.N, at, e.Kind, amount, others})
	return d.bound()
}

// share is what the account gained by an entry.
func (d *drawing) share(e *journal.Entry) (sum journal.Amount, err error) {
	for _, p := range e.Postings {
		if p.Account != d.Account {
			continue
		}
		if sum, err = plus(sum, p.Amount); err != nil {
			return 0, err
		}
	}
	return sum, nil
}

func (d *drawing) line(e *journal.Entry, at time.Time, amount journal.Amount) (err error) {
	l := d.lines[e.Instance]
	if l == nil {
		l = &Line{Instance: e.Instance, First: at, Used: make(map[string]uint64)}
		d.lines[e.Instance] = l
		if err := d.bound(); err != nil {
			return err
		}
	}
	l.Payer, l.Computer, l.Last = cmp.Or(e.Account, l.Payer), cmp.Or(e.Computer, l.Computer), at
	for _, q := range e.Used {
		sum, carry := bits.Add64(l.Used[q.Unit], q.Amount, 0)
		if carry != 0 {
			return errRange
		}
		l.Used[q.Unit] = sum
	}
	total := &d.Earned
	if l.Payer == d.Account {
		total, amount = &d.Paid, -amount
	}
	if l.Amount, err = plus(l.Amount, amount); err != nil {
		return err
	}
	*total, err = plus(*total, amount)
	return err
}

func (d *drawing) bound() error {
	if len(d.lines)+len(d.Payments) > MaxLines {
		return ErrTooLong
	}
	return nil
}

func plus(a, b journal.Amount) (journal.Amount, error) {
	if b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b {
		return 0, errRange
	}
	return a + b, nil
}
