package invoice_test

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger/journal"
	"github.com/slapmesh/slapmesh/ledger/journal/invoice"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func hour(n int) journal.UnixNano {
	return journal.UnixNano(noon.Add(time.Duration(n) * time.Hour).UnixNano())
}

func each(entries []journal.Entry) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// history is a small one: bob is paid, uses two instances of ann, one after
// the other, and pays for both; carl earns as a publisher.
var history = []journal.Entry{
	{N: 0, At: hour(0), Kind: "paid", Account: "bob", Postings: []journal.Posting{{Account: "@mint", Amount: -1000}, {Account: "bob", Amount: 1000}}},
	{N: 1, At: hour(1), Kind: "allocated", Account: "bob", Instance: 1, Computer: "c1", Postings: []journal.Posting{{Account: "ann", Amount: 10}, {Account: "bob", Amount: -10}}, Used: []journal.Quantity{{Unit: "requests", Amount: 1}}},
	{N: 2, At: hour(1), Kind: "changed", Account: "bob", Instance: 1, Computer: "c1"},
	{N: 3, At: hour(2), Kind: "billed", Account: "bob", Instance: 1, Computer: "c1", Postings: []journal.Posting{{Account: "ann", Amount: 40}, {Account: "bob", Amount: -47}, {Account: "carl", Amount: 7}}, Used: []journal.Quantity{{Unit: "core-nanoseconds", Amount: 5}}},
	{N: 4, At: hour(3), Kind: "billed", Account: "bob", Instance: 1, Computer: "c2", Postings: []journal.Posting{{Account: "ann", Amount: 40}, {Account: "bob", Amount: -40}}, Used: []journal.Quantity{{Unit: "core-nanoseconds", Amount: 6}}},
	{N: 5, At: hour(4), Kind: "billed", Account: "bob", Instance: 2, Computer: "c1", Used: []journal.Quantity{{Unit: "core-nanoseconds", Amount: 7}}},
	{N: 6, At: hour(5), Kind: "paid", Account: "ann", Postings: []journal.Posting{{Account: "ann", Amount: 3}, {Account: "bob", Amount: -3}}},
}

func TestDraw(t *testing.T) {
	for _, test := range []struct {
		account     string
		from, until int // hours; until 0 is no bound
		then        string
	}{
		{"bob", 0, 0, "0..900 paid 97 earned 0; i1 of bob on c2 97 map[core-nanoseconds:11 requests:1]; i2 of bob on c1 0 map[core-nanoseconds:7]; paid 1000 [{@mint -1000}]; paid -3 [{ann 3}]"},
		{"bob", 2, 3, "990..943 paid 47 earned 0; i1 of bob on c1 47 map[core-nanoseconds:5]"},
		{"bob", 6, 9, "900..900 paid 0 earned 0"},
		{"ann", 0, 0, "0..93 paid 0 earned 90; i1 of bob on c2 90 map[core-nanoseconds:11 requests:1]; i2 of bob on c1 0 map[core-nanoseconds:7]; paid 3 [{bob -3}]"},
		{"carl", 0, 3, "0..7 paid 0 earned 7; i1 of bob on c1 7 map[core-nanoseconds:5 requests:1]"},
		{"nobody", 0, 0, "0..0 paid 0 earned 0"},
	} {
		var until time.Time
		if test.until != 0 {
			until = hour(test.until).Time()
		}
		var concerned []journal.Entry // as the journal's index gives them
		for _, e := range history {
			mine := e.Account == test.account || test.account == "ann" || test.account == "carl" && e.N < 4
			for _, p := range e.Postings {
				mine = mine || p.Account == test.account
			}
			if mine && test.account != "nobody" {
				concerned = append(concerned, e)
			}
		}
		v, err := invoice.Draw(test.account, hour(test.from).Time(), until, each(concerned))
		if got := text(v); err != nil || got != test.then {
			t.Errorf("%s %d to %d:\n%s, %v\nwant\n%s", test.account, test.from, test.until, got, err, test.then)
		}
	}
}

func text(v invoice.Invoice) string {
	out := fmt.Sprintf("%d..%d paid %d earned %d", v.Opening, v.Closing, v.Paid, v.Earned)
	for _, l := range v.Lines {
		out += fmt.Sprintf("; i%d of %s on %s %d %v", l.Instance, l.Payer, l.Computer, l.Amount, l.Used)
	}
	for _, p := range v.Payments {
		out += fmt.Sprintf("; %s %d %v", p.Kind, p.Amount, p.Others)
	}
	return out
}

// TestPeriodsAddUp cuts a random history into periods: the invoices of these
// follow one another, and their sums are those of the whole.
func TestPeriodsAddUp(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		var all []journal.Entry
		at := 0
		for n := range 200 {
			at += r.IntN(2)
			sum := journal.Amount(r.IntN(1000))
			e := journal.Entry{N: uint64(n), At: hour(at), Kind: "billed", Account: "bob", Instance: uint64(1 + r.IntN(5)), Used: []journal.Quantity{{Unit: "requests", Amount: 1}}}
			e.Postings = []journal.Posting{{Account: "ann", Amount: sum}, {Account: "bob", Amount: -sum}}
			if r.IntN(5) == 0 {
				e.Kind, e.Instance, e.Used = "paid", 0, nil
			}
			all = append(all, e)
		}
		whole, err := invoice.Draw("bob", time.Time{}, time.Time{}, each(all))
		if err != nil {
			t.Fatal(err)
		}
		var paid, closing journal.Amount
		for from := 0; from <= at; from += 7 {
			part, err := invoice.Draw("bob", hour(from).Time(), hour(from+7).Time(), each(all))
			if err != nil || part.Opening != closing {
				t.Fatalf("seed %d, from %d: it begins with %d, the last ended with %d: %v", seed, from, part.Opening, closing, err)
			}
			paid, closing = paid+part.Paid, part.Closing
		}
		if paid != whole.Paid || closing != whole.Closing {
			t.Errorf("seed %d: the periods pay %d and end with %d, want %d and %d", seed, paid, closing, whole.Paid, whole.Closing)
		}
	}
}

func TestDrawRefuses(t *testing.T) {
	broken := errors.New("broken")
	for _, test := range []struct {
		name  string
		given iter.Seq2[journal.Entry, error]
		want  error
	}{
		{"an error of the journal", func(yield func(journal.Entry, error) bool) { yield(journal.Entry{}, broken) }, broken},
		{"too many lines", func(yield func(journal.Entry, error) bool) {
			for n := range uint64(invoice.MaxLines + 1) {
				if !yield(journal.Entry{N: n, Account: "bob", Instance: n + 1, Used: []journal.Quantity{{Unit: "requests", Amount: 1}}}, nil) {
					return
				}
			}
		}, invoice.ErrTooLong},
	} {
		if _, err := invoice.Draw("bob", time.Time{}, time.Time{}, test.given); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	for _, e := range [][]journal.Entry{
		{{Postings: []journal.Posting{{Account: "bob", Amount: math.MaxInt64}, {Account: "bob", Amount: 1}}}},
		{{Postings: []journal.Posting{{Account: "bob", Amount: math.MinInt64}}}, {Postings: []journal.Posting{{Account: "bob", Amount: -1}}}},
		{{Instance: 1, Used: []journal.Quantity{{Unit: "u", Amount: math.MaxUint64}, {Unit: "u", Amount: 1}}}},
	} {
		if v, err := invoice.Draw("bob", time.Time{}, time.Time{}, each(e)); err == nil {
			t.Errorf("%+v: %+v", e, v)
		}
	}
}
