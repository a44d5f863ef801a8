package ledger

import (
	"fmt"
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
)

// PriceSet says what an account asks.
type PriceSet struct{ Price Price }

func (e PriceSet) String() string {
	what := "its computers"
	if e.Price.Release != "" {
		what = e.Price.Release
	}
	if e.Price.Places {
		what = "places inside its " + what
	}
	last := e.Price.List[len(e.Price.List)-1]
	return fmt.Sprintf("%s set the price of %s from %s", e.Price.Account, what, last.From.UTC().Format(time.RFC3339))
}

func (e PriceSet) kind() string { return "price-set" }

func (e PriceSet) about() subject { return subject{account: e.Price.Account} }

func (e PriceSet) evolve(s *State) { s.setPrice(e.Price) }

// Paid says that money was moved on purpose.
type Paid struct {
	Payment  Payment
	Transfer book.Transfer
}

func (e Paid) String() string {
	return fmt.Sprintf("paid %s from %s to %s", e.Payment.Sum, e.Payment.From, e.Payment.To)
}

func (e Paid) kind() string { return "paid" }

func (e Paid) about() subject { return subject{account: e.Payment.To} }

func (e Paid) moved() book.Transfer { return e.Transfer }

func (e Paid) evolve(s *State) {
	s.counters.Payment = e.Payment.N
	s.setPayment(e.Payment)
	s.setPaidAt(paidAt{e.Payment.N, e.Payment.ID})
	if s.paidAt.len() > MaxPayments {
		k, oldest, _ := s.paidAt.first()
		drop(s, &s.paidAt, k)
		s.dropPayment(oldest.ID)
	}
	s.move(e.Transfer)
}

// LimitSet says what an account may spend.
type LimitSet struct{ Wallet Wallet }

func (e LimitSet) String() string {
	if !e.Wallet.Limited {
		return fmt.Sprintf("%s may spend without limit", e.Wallet.Account)
	}
	return fmt.Sprintf("%s may owe up to %s", e.Wallet.Account, e.Wallet.Limit)
}

func (e LimitSet) kind() string { return "limit-set" }

func (e LimitSet) about() subject { return subject{account: e.Wallet.Account} }

func (e LimitSet) evolve(s *State) { s.setWallet(e.Wallet) }

// TermsSet says what the mesh agrees on about money.
type TermsSet struct{ Terms Terms }

func (e TermsSet) String() string {
	t := e.Terms.withDefaults()
	return fmt.Sprintf("set the terms: fee %d of a million, grace %v, set aside for %v", t.Fee, t.Grace, t.Reserve)
}

func (e TermsSet) kind() string { return "terms-set" }

func (e TermsSet) about() subject { return subject{} }

func (e TermsSet) evolve(s *State) {
	mesh, _ := s.Mesh()
	mesh.Terms = e.Terms
	s.setMesh(mesh)
}

// Billed says what an instance used, and who paid whom for it.
type Billed struct {
	Charge   Charge // as it is now
	Number   uint64 // of the usage report
	From, To time.Time
	Used     book.Quantities
	Transfer book.Transfer
}

func (e Billed) String() string {
	return fmt.Sprintf("billed %s for %s to %s in report %d of %s", e.paid(), e.Charge.Instance, e.Charge.Payer, e.Number, e.Charge.Computer)
}

// paid is what the payer owes for it, also to itself.
func (e Billed) paid() book.Amount {
	for _, p := range e.Transfer {
		if p.Account == string(e.Charge.Payer) {
			return -p.Amount
		}
	}
	return 0
}

func (e Billed) kind() string { return "billed" }

func (e Billed) about() subject {
	return subject{account: e.Charge.Payer, computer: e.Charge.Computer, instance: e.Charge.Instance, quiet: true}
}

func (e Billed) moved() book.Transfer { return e.Transfer }

func (e Billed) used() book.Quantities { return e.Used }

func (e Billed) evolve(s *State) {
	s.setCharge(e.Charge)
	s.move(e.Transfer)
}

// Metered says how far the usage of a computer is billed.
type Metered struct {
	Meter  Meter
	Hold   *heldUsage // kept until those before it have come
	Free   uint64     // the number of one that was kept and is not any more
	Reason string     // why a report was refused
}

func (e Metered) String() string {
	switch {
	case e.Reason != "":
		return fmt.Sprintf("refused usage of %s: %s", e.Meter.Computer, e.Reason)
	case e.Hold != nil:
		return fmt.Sprintf("keep report %d of %s until %d has come", e.Hold.Number, e.Meter.Computer, e.Meter.Next)
	}
	return fmt.Sprintf("usage of %s is billed to report %d", e.Meter.Computer, e.Meter.Next-1)
}

func (e Metered) kind() string { return "metered" }

func (e Metered) about() subject { return subject{computer: e.Meter.Computer, quiet: e.Reason == ""} }

func (e Metered) evolve(s *State) {
	s.setMeter(e.Meter)
	if e.Hold != nil {
		s.setHeld(*e.Hold)
	}
	if e.Free != 0 {
		s.dropHeld(e.Meter.Computer, e.Free)
	}
}

// Reviewed says what a payer thinks of a bill.
type Reviewed struct{ Charge Charge }

func (e Reviewed) String() string {
	return fmt.Sprintf("%s %s the bill of %s", e.Charge.Payer, e.Charge.Review.Verdict, e.Charge.Instance)
}

func (e Reviewed) kind() string { return "reviewed" }

func (e Reviewed) about() subject {
	return subject{account: e.Charge.Payer, computer: e.Charge.Computer, instance: e.Charge.Instance}
}

func (e Reviewed) evolve(s *State) { s.setCharge(e.Charge) }
