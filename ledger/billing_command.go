package ledger

import (
	"errors"
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
)

// billable refuses commands about money on a mesh whose rules do not know it.
func (s *State) billable(what string) error {
	if s.bills() {
		return nil
	}
	m, _ := s.Mesh()
	return refuse(ErrUnavailable, "%s: this mesh follows rules %d, which know no money: all voters must be upgraded first", what, m.Rules)
}

// SetPrice says what an account asks from a moment on: for its computers, for
// a release that it published, or for places inside its instances of one.
type SetPrice struct {
	Account AccountName `cbor:"1,keyasint,omitempty"` // the caller's if empty
	Release string      `cbor:"2,keyasint,omitempty"` // name; "" for computers
	From    time.Time   `cbor:"3,keyasint"`           // zero is now
	Rates   book.Rates  `cbor:"4,keyasint"`
	Places  bool        `cbor:"100,keyasint,omitempty"` // inside instances of Release, whoever published that
}

// Kind returns "set-price".
func (SetPrice) Kind() string { return "set-price" }

func (c SetPrice) decide(s *State, x Context) ([]Event, error) {
	if err := s.billable("price"); err != nil {
		return nil, err
	}
	account, err := s.ActFor(x.Principal, c.Account, RightMoney)
	if err != nil {
		return nil, err
	}
	if _, ok := s.Account(account); !ok {
		return nil, refuse(ErrNotFound, "price: account %s is not known", account.plain())
	}
	if c.Places && c.Release == "" {
		return nil, refuse(ErrInvalid, "price of places: inside instances of which release?")
	}
	if c.Release != "" {
		if err := checkName("release", c.Release, MaxLabel); err != nil {
			return nil, err
		}
		if _, ok := s.namings.get(Key{A: c.Release, B: string(account)}); !ok && !c.Places {
			return nil, refuse(ErrNotFound, "price of %s: %s has published no release of that name", c.Release, account)
		}
	}
	for name := range c.Rates.Metrics {
		if err := checkName("metric", name, MaxName); err != nil {
			return nil, err
		}
	}
	was, known := s.prices.get(priceKey(account, c.Release, c.Places))
	if !known && s.pricesOf(account) >= MaxPrices {
		return nil, refuse(ErrExhausted, "price: %s has %d prices already", account, MaxPrices)
	}
	from := c.From.UTC().Round(0)
	if c.From.IsZero() {
		from = x.At
	}
	if n := len(was.List); n > 0 && !was.List[n-1].From.After(from) && was.List[n-1].Rates.Equal(c.Rates) {
		return nil, nil // it is so
	}
	list, err := was.List.With(x.At, from, c.Rates)
	switch {
	case errors.Is(err, book.ErrPast):
		return nil, refuse(ErrInvalid, "price: %v: what was used is billed at the price of its time", err)
	case err != nil:
		return nil, refuse(ErrInvalid, "price: %v", err)
	}
	return []Event{PriceSet{Price{account, c.Release, list, c.Places}}}, nil
}

func (s *State) pricesOf(account AccountName) (n int) {
	for range s.prices.within(string(account)) {
		n++
	}
	return n
}

// Pay moves money from one account to another, once for each ID. Operators
// may make credits, by paying from [MintAccount], and correct mistakes by
// paying from any account.
type Pay struct {
	ID   string      `cbor:"1,keyasint"`
	From AccountName `cbor:"2,keyasint,omitempty"` // the caller's if empty
	To   AccountName `cbor:"3,keyasint"`
	Sum  book.Amount `cbor:"4,keyasint"`
	Note string      `cbor:"5,keyasint,omitempty"`
}

// Kind returns "pay".
func (Pay) Kind() string { return "pay" }

func (c Pay) decide(s *State, x Context) ([]Event, error) {
	if err := s.billable("pay"); err != nil {
		return nil, err
	}
	from, err := s.ActFor(x.Principal, c.From, RightMoney)
	if err != nil {
		return nil, err
	}
	if err := checkName("pay: id", c.ID, MaxLabel); err != nil {
		return nil, err
	}
	if err := checkText("pay: note", c.Note, MaxReason); err != nil {
		return nil, err
	}
	if c.Note != "" && !printable(c.Note) {
		return nil, refuse(ErrInvalid, "pay: note: only printable characters")
	}
	if was, ok := s.payments.get(Key{A: c.ID}); ok {
		if was.From == from && was.To == c.To && was.Sum == c.Sum {
			return nil, nil // a retry
		}
		return nil, refuse(ErrConflict, "pay: id %q was used for %s from %s to %s", c.ID, was.Sum, was.From, was.To)
	}
	switch {
	case c.Sum <= 0 || c.Sum > maxBalance:
		return nil, refuse(ErrInvalid, "pay: %s credits: more than nothing expected, at most %s", c.Sum, maxBalance)
	case from == c.To:
		return nil, refuse(ErrInvalid, "pay: from %s to itself", from)
	}
	for _, name := range []AccountName{from, c.To} {
		if a, ok := s.Account(name); (!ok || !a.Deleted.IsZero() && !x.Principal.Operator) && name != MintAccount && name != MeshAccount {
			return nil, refuse(ErrNotFound, "pay: account %s is not known", name.plain())
		}
	}
	if w := s.Wallet(from); w.Limited && w.Free() < c.Sum && !x.Principal.Operator {
		return nil, refuse(ErrPayment, "pay: account %s has %s to spend (balance %s, limit %s, set aside %s)", from, w.Free(), w.Balance, w.Limit, w.Reserved)
	}
	transfer, err := book.NewTransfer(book.Posting{Account: string(from), Amount: -c.Sum}, book.Posting{Account: string(c.To), Amount: c.Sum})
	if err != nil {
		return nil, refuse(ErrInvalid, "pay: %v", err)
	}
	if err := newTill(s).take(transfer); err != nil {
		return nil, err
	}
	return []Event{Paid{Payment{c.ID, from, c.To, c.Sum, c.Note, x.Principal.Account, x.At, s.counters.Payment + 1}, transfer}}, nil
}

// SetLimit says what an account may spend. Operators only.
type SetLimit struct {
	Account AccountName `cbor:"1,keyasint"`
	Limited bool        `cbor:"2,keyasint,omitempty"`
	Limit   book.Amount `cbor:"3,keyasint,omitempty"` // how far its balance may go below zero
}

// Kind returns "set-limit".
func (SetLimit) Kind() string { return "set-limit" }

func (c SetLimit) decide(s *State, x Context) ([]Event, error) {
	if err := s.billable("limit"); err != nil {
		return nil, err
	}
	if err := x.Principal.may(RightMoney); err != nil {
		return nil, err
	}
	switch _, ok := s.Account(c.Account); {
	case !x.Principal.Operator:
		return nil, refuse(ErrForbidden, "limit of %s: only an operator sets limits", c.Account.plain())
	case !ok:
		return nil, refuse(ErrNotFound, "limit: account %s is not known", c.Account.plain())
	case c.Limit < 0 || c.Limit > maxBalance:
		return nil, refuse(ErrInvalid, "limit of %s: %s credits: 0 to %s expected", c.Account, c.Limit, maxBalance)
	case !c.Limited && c.Limit != 0:
		return nil, refuse(ErrInvalid, "limit of %s: %s credits and no limit", c.Account, c.Limit)
	}
	now := s.Wallet(c.Account)
	was := now
	now.Limited, now.Limit = c.Limited, c.Limit
	if now = now.settle(x.At); now == was {
		return nil, nil
	}
	return []Event{LimitSet{now}}, nil
}

// SetTerms says what the mesh agrees on about money. Operators only. What is
// zero is the default.
type SetTerms struct {
	Terms Terms `cbor:"1,keyasint"`
}

// Kind returns "set-terms".
func (SetTerms) Kind() string { return "set-terms" }

func (c SetTerms) decide(s *State, x Context) ([]Event, error) {
	if err := s.billable("terms"); err != nil {
		return nil, err
	}
	if err := x.Principal.may(RightMoney); err != nil {
		return nil, err
	}
	const year = 365 * 24 * time.Hour
	mesh, _ := s.Mesh()
	switch t := c.Terms; {
	case !x.Principal.Operator:
		return nil, refuse(ErrForbidden, "terms: only an operator sets them")
	case t.Fee > 1_000_000:
		return nil, refuse(ErrInvalid, "terms: fee of %d of a million", t.Fee)
	case t.Grace < 0 || t.Grace > year || t.Reserve < 0 || t.Reserve > year:
		return nil, refuse(ErrInvalid, "terms: grace %v, set aside for %v: at most a year", t.Grace, t.Reserve)
	case t == mesh.Terms:
		return nil, nil
	}
	return []Event{TermsSet(c)}, nil
}

// StopShort stops the instances of accounts that have spent more than they
// may for longer than the grace. The leader proposes it.
type StopShort struct{}

// Kind returns "stop-short".
func (StopShort) Kind() string { return "stop-short" }

func (c StopShort) decide(s *State, x Context) ([]Event, error) {
	if x.Principal.Kind != PrincipalSystem {
		return nil, refuse(ErrForbidden, "stop who has spent too much: only the leader does")
	}
	var events []Event
	for account := range s.Overdue(x.At) {
		for i := range s.Instances(account) {
			if i.Requested != InstanceStarted || i.Parent != 0 {
				continue // a tree follows its root
			}
			if len(events) >= MaxStopped {
				return events, nil
			}
			now := i
			s.ask(x, &now, InstanceStopped, nil)
			events = append(events, s.turn(x, i, now)...)
		}
	}
	return events, nil
}

// Overdue iterates over the accounts that have spent more than they may for
// longer than the grace.
func (s *State) Overdue(at time.Time) func(yield func(AccountName) bool) {
	grace := s.Terms().Grace
	return func(yield func(AccountName) bool) {
		for _, w := range s.wallets.all() {
			if !w.Short.IsZero() && at.Sub(w.Short) >= grace && !yield(w.Account) {
				return
			}
		}
	}
}

// ReviewBill says whether the payer agrees with what was billed for an
// instance up to a moment.
type ReviewBill struct {
	Account  AccountName `cbor:"1,keyasint,omitempty"` // the caller's if empty
	Instance InstanceID  `cbor:"2,keyasint"`
	Verdict  Verdict     `cbor:"3,keyasint"`
	Through  time.Time   `cbor:"4,keyasint"` // zero is all that was billed
	Note     string      `cbor:"5,keyasint,omitempty"`
	From     time.Time   `cbor:"60,keyasint,omitzero"` // zero is the beginning
}

// Kind returns "review-bill".
func (ReviewBill) Kind() string { return "review-bill" }

func (c ReviewBill) decide(s *State, x Context) ([]Event, error) {
	account, err := s.ActFor(x.Principal, c.Account, RightMoney)
	if err != nil {
		return nil, err
	}
	if err := checkText("review: note", c.Note, MaxReason); err != nil {
		return nil, err
	}
	charge, ok := s.Charge(c.Instance)
	from := c.From
	if !from.IsZero() {
		from = from.UTC().Round(0)
	}
	through := c.Through.UTC().Round(0)
	if c.Through.IsZero() {
		through = charge.Billed
	}
	switch {
	case !ok || charge.Payer != account:
		return nil, refuse(ErrNotFound, "review: %s has no bill of %s", account, c.Instance)
	case c.Verdict != VerdictAccepted && c.Verdict != VerdictDisputed:
		return nil, refuse(ErrInvalid, "review of %s: verdict %.40q: accepted or disputed expected", c.Instance, string(c.Verdict))
	case through.After(charge.Billed) || through.Before(charge.From):
		return nil, refuse(ErrInvalid, "review of %s: it is billed from %s to %s", c.Instance, charge.From.Format(time.RFC3339), charge.Billed.Format(time.RFC3339))
	case !from.IsZero() && (from.Before(charge.From) || !from.Before(through)):
		return nil, refuse(ErrInvalid, "review of %s: from %s to %s: a period expected that begins with the bill, %s, or later", c.Instance,
			from.Format(time.RFC3339), through.Format(time.RFC3339), charge.From.Format(time.RFC3339))
	case charge.Review.Verdict == c.Verdict && charge.Review.Through.Equal(through) && charge.Review.Note == c.Note && charge.Review.From.Equal(from):
		return nil, nil
	}
	review := Review{c.Verdict, through, c.Note, x.At, from}
	if s.follows(RulesOfGroups) {
		if charge.Reviews = charge.reviewed(review); len(charge.Reviews) > MaxReviews {
			return nil, refuse(ErrExhausted, "review of %s: it has %d reviews already: review a period that covers some of them", c.Instance, MaxReviews)
		}
	}
	charge.Review = review
	return []Event{Reviewed{charge}}, nil
}

// reviewed returns the reviews of c with one more, in place of those that are
// about no more than that.
func (c Charge) reviewed(review Review) (list []Review) {
	was := c.Reviews
	if len(was) == 0 && c.Review.Verdict != "" {
		was = []Review{c.Review} // from before rules 4
	}
	for _, r := range was {
		if !review.covers(r) {
			list = append(list, r)
		}
	}
	return append(list, review)
}
