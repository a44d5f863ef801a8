package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/book"
	"github.com/slapmesh/slapmesh/protocol"
)

// maxBills is how many bills a statement lists on either side.
const maxBills = 1000

// Prices implements [protocol.Money].
func (s *service) Prices(context.Context) ([]protocol.Price, error) {
	v := s.books.View()
	if _, err := s.who(v); err != nil {
		return nil, err
	}
	out := []protocol.Price{}
	for p := range v.Prices() {
		out = append(out, wirePrice(p, s.cfg.Clock()))
	}
	return out, nil
}

// SetPrice implements [protocol.Money].
func (s *service) SetPrice(ctx context.Context, in protocol.PriceInput) (protocol.Price, error) {
	rates, err := ratesOf(in.Rates)
	if err != nil {
		return protocol.Price{}, protocol.Errorf(protocol.ErrInvalid, "price: %v", err)
	}
	account, err := s.account(s.books.View(), in.Account, ledger.RightMoney)
	if err != nil {
		return protocol.Price{}, err
	}
	v, err := s.propose(ctx, ledger.SetPrice{Account: account, Release: in.Release, From: in.From, Rates: rates, Places: in.Places})
	if err != nil {
		return protocol.Price{}, err
	}
	for p := range v.Prices() {
		if p.Account == account && p.Release == in.Release && p.Places == in.Places {
			return wirePrice(p, s.cfg.Clock()), nil
		}
	}
	return protocol.Price{Account: string(account), Release: in.Release, Places: in.Places, Rates: wireRates(book.Rates{})}, nil
}

// Statement implements [protocol.Money].
func (s *service) Statement(_ context.Context, account string) (protocol.Statement, error) {
	v := s.books.View()
	name, err := s.account(v, account, ledger.RightRead)
	if err != nil {
		return protocol.Statement{}, err
	}
	return s.statement(v, name)
}

func (s *service) statement(v *ledger.State, account ledger.AccountName) (protocol.Statement, error) {
	nobodys := account == ledger.MintAccount || account == ledger.MeshAccount
	if _, ok := v.Account(account); !ok && !nobodys {
		return protocol.Statement{}, protocol.Errorf(protocol.ErrNotFound, "statement: account %s is not known", account)
	}
	w := v.Wallet(account)
	out := protocol.Statement{
		Account: string(account), Balance: w.Balance.String(), Reserved: w.Reserved.String(),
		Limited: w.Limited, Limit: w.Limit.String(), Free: w.Free().String(), Pays: []protocol.Bill{}, Earns: []protocol.Bill{},
	}
	if !w.Short.IsZero() {
		stops := w.Short.Add(v.Terms().Grace)
		out.Short, out.StopsAt = &w.Short, &stops
	}
	for c := range v.Pays(account) {
		if len(out.Pays) == maxBills {
			break
		}
		out.Pays = append(out.Pays, wireBill(v, c))
	}
	for c := range v.Earns(account) {
		if len(out.Earns) == maxBills {
			break
		}
		if c.Payer != account {
			out.Earns = append(out.Earns, wireBill(v, c))
		}
	}
	return out, nil
}

// Pay implements [protocol.Money].
func (s *service) Pay(ctx context.Context, in protocol.PaymentInput) (protocol.Statement, error) {
	sum, err := book.ParseAmount(in.Sum)
	if err != nil {
		return protocol.Statement{}, protocol.Errorf(protocol.ErrInvalid, "pay: %v", err)
	}
	from, err := s.account(s.books.View(), in.From, ledger.RightMoney)
	if err != nil {
		return protocol.Statement{}, err
	}
	v, err := s.propose(ctx, ledger.Pay{ID: in.ID, From: from, To: ledger.AccountName(in.To), Sum: sum, Note: in.Note})
	if err != nil {
		return protocol.Statement{}, err
	}
	return s.statement(v, from)
}

// SetLimit implements [protocol.Money].
func (s *service) SetLimit(ctx context.Context, in protocol.LimitInput) (protocol.Statement, error) {
	c := ledger.SetLimit{Account: ledger.AccountName(in.Account)}
	if in.Limit != nil {
		limit, err := book.ParseAmount(*in.Limit)
		if err != nil {
			return protocol.Statement{}, protocol.Errorf(protocol.ErrInvalid, "limit: %v", err)
		}
		c.Limited, c.Limit = true, limit
	}
	v, err := s.propose(ctx, c)
	if err != nil {
		return protocol.Statement{}, err
	}
	return s.statement(v, c.Account)
}

// ReviewBill implements [protocol.Money].
func (s *service) ReviewBill(ctx context.Context, in protocol.ReviewInput) (protocol.Bill, error) {
	i, err := s.instance(s.books.View(), protocol.Ref{Reference: in.Reference, Account: in.Account}, ledger.RightMoney)
	if err != nil {
		return protocol.Bill{}, err
	}
	v, err := s.propose(ctx, ledger.ReviewBill{
		Account: i.Account, Instance: i.ID, Verdict: ledger.Verdict(in.Verdict), From: in.From, Through: in.Through, Note: in.Note,
	})
	if err != nil {
		return protocol.Bill{}, err
	}
	c, _ := v.Charge(i.ID)
	return wireBill(v, c), nil
}

// Terms implements [protocol.Money].
func (s *service) Terms(context.Context) (protocol.Terms, error) {
	v := s.books.View()
	if _, err := s.who(v); err != nil {
		return protocol.Terms{}, err
	}
	return wireTerms(v.Terms()), nil
}

// SetTerms implements [protocol.Money].
func (s *service) SetTerms(ctx context.Context, in protocol.Terms) (protocol.Terms, error) {
	terms, err := termsOf(in)
	if err != nil {
		return protocol.Terms{}, protocol.Errorf(protocol.ErrInvalid, "terms: %v", err)
	}
	v, err := s.propose(ctx, ledger.SetTerms{Terms: terms})
	if err != nil {
		return protocol.Terms{}, err
	}
	return wireTerms(v.Terms()), nil
}

func termsOf(in protocol.Terms) (ledger.Terms, error) {
	var t ledger.Terms
	if in.Fee != "" {
		percent, err := book.ParseAmount(in.Fee)
		if err != nil || percent < 0 || percent > 100*book.Credit || percent%100 != 0 {
			return t, fmt.Errorf("fee %.20q: 0 to 100 percent with at most four decimals expected", in.Fee)
		}
		t.Fee = uint32(percent / 100)
	}
	for _, d := range []struct {
		name, text string
		to         *time.Duration
	}{{"grace", in.Grace, &t.Grace}, {"reserve", in.Reserve, &t.Reserve}} {
		if d.text == "" {
			continue
		}
		var err error
		if *d.to, err = time.ParseDuration(d.text); err != nil || *d.to <= 0 {
			return t, fmt.Errorf("%s %.20q: a duration such as 24h expected", d.name, d.text)
		}
	}
	return t, nil
}

func wireTerms(t ledger.Terms) protocol.Terms {
	return protocol.Terms{Fee: (book.Amount(t.Fee) * 100).String(), Grace: shortDuration(t.Grace), Reserve: shortDuration(t.Reserve)}
}

// shortDuration leaves out what is nothing: "24h" for "24h0m0s".
func shortDuration(d time.Duration) string {
	text := d.String()
	text, _ = strings.CutSuffix(text, "m0s")
	if text != d.String() {
		if whole, ok := strings.CutSuffix(text, "h0"); ok {
			return whole + "h"
		}
		return text + "m"
	}
	return text
}

func wirePrice(p ledger.Price, now time.Time) protocol.Price {
	out := protocol.Price{Account: string(p.Account), Release: p.Release, Places: p.Places, Rates: wireRates(p.List.At(now)), Next: []protocol.PriceVersion{}}
	for _, version := range p.List {
		if version.From.After(now) {
			out.Next = append(out.Next, protocol.PriceVersion{From: version.From, Rates: wireRates(version.Rates)})
		} else {
			out.From = version.From
		}
	}
	return out
}

func wireRates(r book.Rates) protocol.Rates {
	out := protocol.Rates{
		Core: r.Core.String(), Memory: r.Memory.String(), Disk: r.Disk.String(),
		Network: r.Network.String(), Partition: r.Partition.String(), Request: r.Request.String(),
	}
	for name, rate := range r.Metrics {
		if out.Metrics == nil {
			out.Metrics = make(map[string]string, len(r.Metrics))
		}
		out.Metrics[name] = rate.String()
	}
	return out
}

func ratesOf(in protocol.Rates) (book.Rates, error) {
	var out book.Rates
	for _, r := range []struct {
		name, text string
		to         *book.Rate
	}{
		{"core_hour", in.Core, &out.Core},
		{"memory_gib_hour", in.Memory, &out.Memory},
		{"disk_gib_hour", in.Disk, &out.Disk},
		{"network_gib", in.Network, &out.Network},
		{"partition_hour", in.Partition, &out.Partition},
		{"request", in.Request, &out.Request},
	} {
		if r.text == "" {
			continue
		}
		var err error
		if *r.to, err = book.ParseRate(r.text); err != nil {
			return out, fmt.Errorf("%s: %w", r.name, err)
		}
	}
	if len(in.Metrics) > book.MaxMetrics {
		return out, fmt.Errorf("%d metrics, at most %d", len(in.Metrics), book.MaxMetrics)
	}
	for name, text := range in.Metrics {
		rate, err := book.ParseRate(text)
		if err != nil {
			return out, fmt.Errorf("metric %.40q: %w", name, err)
		}
		if out.Metrics == nil {
			out.Metrics = make(map[string]book.Rate, len(in.Metrics))
		}
		out.Metrics[name] = rate
	}
	return out, nil
}

func wireBill(v *ledger.State, c ledger.Charge) protocol.Bill {
	i, _ := v.Instance(c.Instance)
	now := c.Current()
	out := protocol.Bill{
		Instance: c.Instance.String(), Reference: v.Path(i), Payer: string(c.Payer), Owner: string(c.Owner),
		Publisher: string(c.Publisher), Release: c.Release, Computer: string(c.Computer), ComputerName: computerName(v, string(c.Computer)), From: c.From, Billed: c.Billed,
		Total: c.Total().String(), ToOwner: (now.ToOwner - now.ToMesh).String(), ToRelease: c.ToRelease.String(), ToMesh: now.ToMesh.String(),
		Used: wireUsed(c.Used), Verdict: string(c.Review.Verdict), Note: c.Review.Note,
	}
	for _, f := range c.Former {
		out.FormerOwners = append(out.FormerOwners, protocol.OwnerShare{
			Owner: string(f.Owner), Until: f.Until, ToOwner: (f.ToOwner - f.ToMesh).String(), ToMesh: f.ToMesh.String(),
		})
	}
	if c.Host != "" {
		out.Host = &protocol.HostShare{Account: string(c.Host), ToHost: (c.ToHost - c.HostFee).String(), ToMesh: c.HostFee.String()}
	}
	if !c.Open() {
		out.Until = &c.Until
	}
	if c.Review.Verdict != "" {
		out.Through = &c.Review.Through
	}
	for _, r := range c.Reviews {
		from := r.From
		if from.IsZero() {
			from = c.From
		}
		out.Reviews = append(out.Reviews, protocol.Review{Verdict: string(r.Verdict), From: from, Through: r.Through, Note: r.Note, At: r.At})
	}
	return out
}

func wireUsed(q book.Quantities) protocol.Used {
	const gibHour = float64(1<<30) * 3600
	return protocol.Used{
		Core:      time.Duration(q.Core).Seconds(),
		Memory:    float64(q.Memory) / gibHour,
		Disk:      float64(q.Disk) / gibHour,
		Network:   q.Network,
		Partition: time.Duration(q.Partition).Hours(),
		Requests:  q.Requests,
		Metrics:   q.Metrics,
	}
}
