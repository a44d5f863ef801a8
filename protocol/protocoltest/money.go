package protocoltest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// Prices implements [protocol.Money].
func (c *caller) Prices(context.Context) ([]protocol.Price, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := slices.Clone(c.till.prices)
	slices.SortFunc(out, func(a, b protocol.Price) int {
		return cmp.Or(strings.Compare(a.Account, b.Account), strings.Compare(a.Release, b.Release))
	})
	return out, nil
}

// SetPrice implements [protocol.Money].
func (c *caller) SetPrice(_ context.Context, in protocol.PriceInput) (protocol.Price, error) {
	account, err := c.payer(in.Account)
	if err = cmp.Or(err, in.Check()); err != nil {
		return protocol.Price{}, err
	}
	if in.Release != "" && !in.Places && account != publisher {
		return protocol.Price{}, protocol.Errorf(protocol.ErrNotFound, "price of %s: %s has published no release of that name", in.Release, account)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if in.From.IsZero() {
		in.From = c.Now
	}
	if in.From.Before(c.Now) {
		return protocol.Price{}, protocol.Errorf(protocol.ErrInvalid, "price: a price cannot begin in the past")
	}
	p := c.till.price(account, in.Release, in.Places)
	if in.From.Equal(c.Now) {
		*p = protocol.Price{Account: account, Release: in.Release, Places: in.Places, Rates: in.Rates, From: in.From}
	} else {
		p.Next = slices.DeleteFunc(p.Next, func(v protocol.PriceVersion) bool { return !v.From.Before(in.From) })
		p.Next = append(p.Next, protocol.PriceVersion{From: in.From, Rates: in.Rates})
	}
	return *p, nil
}

// payer is the account that is meant: the caller's, or another for an operator.
func (c *caller) payer(named string) (string, error) {
	named = cmp.Or(named, c.account)
	if named != c.account && !c.operator {
		return "", protocol.Errorf(protocol.ErrForbidden, "only an operator acts for account %s", named)
	}
	return named, nil
}

// Statement implements [protocol.Money].
func (c *caller) Statement(_ context.Context, account string) (protocol.Statement, error) {
	account, err := c.payer(account)
	if err != nil {
		return protocol.Statement{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.statement(account)
}

// statement is that of an account. The caller holds mu.
func (c *caller) statement(account string) (protocol.Statement, error) {
	if err := c.till.exists(account); err != nil {
		return protocol.Statement{}, err
	}
	s := c.till.statement(account, c.Now)
	for i, b := range s.Pays {
		key := protocol.Ref{Account: b.Payer, Reference: b.Reference}
		if c.instances[key].RequestedState == protocol.RequestDestroyed {
			s.Pays[i].Until = &c.Now
		}
	}
	return s, nil
}

// Pay implements [protocol.Money].
func (c *caller) Pay(_ context.Context, in protocol.PaymentInput) (protocol.Statement, error) {
	from, err := c.payer(in.From)
	if err = cmp.Or(err, in.Check()); err != nil {
		return protocol.Statement{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	in.From, in.Note = from, ""
	if was, ok := c.till.paid[in.ID]; ok {
		if was != in {
			return protocol.Statement{}, protocol.Errorf(protocol.ErrConflict, "pay: id %q was used for %s from %s to %s", in.ID, was.Sum, was.From, was.To)
		}
		return c.statement(from)
	}
	if err := cmp.Or(c.till.exists(from), c.till.exists(in.To)); err != nil {
		return protocol.Statement{}, err
	}
	sum := number(in.Sum)
	if free, limited := c.till.free(from); limited && free.Cmp(sum) < 0 && !c.operator {
		return protocol.Statement{}, protocol.Errorf(protocol.ErrPayment, "pay: account %s has %s to spend", from, decimal(free))
	}
	c.till.paid[in.ID] = in
	c.till.move(from, in.To, sum)
	return c.statement(from)
}

// SetLimit implements [protocol.Money].
func (c *caller) SetLimit(_ context.Context, in protocol.LimitInput) (protocol.Statement, error) {
	if !c.operator {
		return protocol.Statement{}, protocol.Errorf(protocol.ErrForbidden, "limit of %s: only an operator sets limits", in.Account)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := cmp.Or(in.Check(), c.till.exists(in.Account)); err != nil {
		return protocol.Statement{}, err
	}
	delete(c.till.limits, in.Account)
	if in.Limit != nil {
		c.till.limits[in.Account] = number(*in.Limit)
	}
	return c.statement(in.Account)
}

// ReviewBill implements [protocol.Money].
func (c *caller) ReviewBill(_ context.Context, in protocol.ReviewInput) (protocol.Bill, error) {
	account, err := c.payer(in.Account)
	if err = cmp.Or(err, in.Check()); err != nil {
		return protocol.Bill{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.till.bills {
		if b := &c.till.bills[i]; b.Payer == account && b.Reference == in.Reference {
			through := in.Through
			if through.IsZero() {
				through = b.Billed
			}
			if through.After(b.Billed) || through.Before(b.From) {
				return protocol.Bill{}, protocol.Errorf(protocol.ErrInvalid, "review of %s: it is billed from %s to %s",
					b.Instance, b.From.Format(time.RFC3339), b.Billed.Format(time.RFC3339))
			}
			b.Verdict, b.Note, b.Through = in.Verdict, in.Note, &through
			from := b.From
			if !in.From.IsZero() {
				from = in.From
			}
			b.Reviews = append(slices.Clip(b.Reviews), protocol.Review{Verdict: in.Verdict, From: from, Through: through, Note: in.Note, At: through})
			return *b, nil
		}
	}
	return protocol.Bill{}, protocol.Errorf(protocol.ErrNotFound, "review: %s has no bill of %s: see \"slapd statement\"", account, in.Reference)
}

// Terms implements [protocol.Money].
func (c *caller) Terms(context.Context) (protocol.Terms, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.till.terms, nil
}

// SetTerms implements [protocol.Money].
func (c *caller) SetTerms(_ context.Context, in protocol.Terms) (protocol.Terms, error) {
	if !c.operator {
		return protocol.Terms{}, protocol.Errorf(protocol.ErrForbidden, "terms: only an operator sets them")
	}
	if err := in.Check(); err != nil {
		return protocol.Terms{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.till.terms = completed(in)
	return c.till.terms, nil
}
