package book_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
)

func TestAmount(t *testing.T) {
	for _, test := range []struct {
		text, want string // want is what it prints as, or the error
	}{
		{"0", "0.00"},
		{"12.5", "12.50"},
		{"-0.000001", "-0.000001"},
		{"1.2300000", "1.23"},
		{"9223372036854.775807", "9223372036854.775807"},
		{"", `"": a decimal number such as 12.50 expected`},
		{".5", `".5": a decimal number such as 12.50 expected`},
		{"5.", `"5.": a decimal number such as 12.50 expected`},
		{"--1", `"--1": a decimal number such as 12.50 expected`},
		{"1e3", `"1e3": a decimal number such as 12.50 expected`},
		{"١", `"١": a decimal number such as 12.50 expected`},
		{"0.0000001", `"0.0000001": at most 6 decimals`},
		{"9223372036854.775808", `"9223372036854.775808": amount out of range`},
		{"99999999999999999999999", `"99999999999999999999999": amount out of range`},
	} {
		a, err := book.ParseAmount(test.text)
		got := a.String()
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%q: got %s, want %s", test.text, got, test.want)
		}
	}
	if _, err := book.Amount(math.MaxInt64).Plus(1); !errors.Is(err, book.ErrRange) {
		t.Error(err)
	}
	if _, err := book.Amount(-2).Minus(math.MaxInt64); !errors.Is(err, book.ErrRange) {
		t.Error(err)
	}
	if _, err := book.Amount(0).Minus(math.MinInt64); !errors.Is(err, book.ErrRange) {
		t.Error(err)
	}
}

func FuzzParseAmount(f *testing.F) {
	for _, s := range []string{"1", "-1.5", "0.000001", "9223372036854.775807", "1..2", "-", "01.10"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := book.ParseAmount(text)
		if err != nil {
			return
		}
		if b, err := book.ParseAmount(a.String()); err != nil || a != b {
			t.Errorf("%q is %s, which is %s, %v", text, a, b, err)
		}
	})
}

func TestCost(t *testing.T) {
	rate := func(text string) book.Rate {
		r, err := book.ParseRate(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	const hour, gib = uint64(time.Hour), uint64(1 << 30)
	for _, test := range []struct {
		name  string
		rates book.Rates
		used  book.Quantities
		rest  book.Rest
		want  string // amount and rest, or the error
	}{
		{"nothing", book.Rates{}, book.Quantities{Core: hour}, 7, "0.00 7"},
		{"two core hours", book.Rates{Core: rate("0.02")}, book.Quantities{Core: 2 * hour}, 0, "0.04 0"},
		{"a GiB for half an hour", book.Rates{Memory: rate("0.01")}, book.Quantities{Memory: gib * 1800}, 0, "0.005 0"},
		{"a day of 10 GiB", book.Rates{Disk: rate("0.0001")}, book.Quantities{Disk: 10 * gib * 86400}, 0, "0.024 0"},
		{"a byte", book.Rates{Network: rate("1")}, book.Quantities{Network: 1}, 0, "0.00 931"},
		{"the rest makes a micro-credit", book.Rates{Network: rate("1")}, book.Quantities{Network: 1}, 999_999, "0.000001 930"},
		{"a request", book.Rates{Request: rate("1.5")}, book.Quantities{Requests: 3}, 0, "4.50 0"},
		{"a metric", book.Rates{Metrics: map[string]book.Rate{"rows": rate("0.000001")}}, book.Quantities{Metrics: map[string]uint64{"rows": 5, "other": 9}}, 0, "0.000005 0"},
		{"too much", book.Rates{Request: book.MaxRate}, book.Quantities{Requests: math.MaxUint64}, 0, "cost: amount out of range"},
		{
			"far too much",
			book.Rates{Request: book.MaxRate, Metrics: map[string]book.Rate{"a": book.MaxRate, "b": book.MaxRate}},
			book.Quantities{Requests: math.MaxUint64, Metrics: map[string]uint64{"a": math.MaxUint64, "b": math.MaxUint64}},
			0, "cost: amount out of range",
		},
		{"a rest of its own", book.Rates{}, book.Quantities{}, 1_000_000, "cost: the rest is a micro-credit or more"},
	} {
		a, rest, err := test.rates.Cost(test.used, test.rest)
		got := fmt.Sprint(a, rest)
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

// TestCostIsExact compares with arithmetic of any size, and finds that a bill
// in parts is that in one, but for a pico-credit a part and quantity.
func TestCostIsExact(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 3))
		rates := book.Rates{
			Core: book.Rate(r.Int64N(1e13)), Memory: book.Rate(r.Int64N(1e13)), Disk: book.Rate(r.Int64N(1e10)),
			Network: book.Rate(r.Int64N(1e13)), Partition: book.Rate(r.Int64N(1e12)), Request: book.Rate(r.Int64N(1e12)),
		}
		parts := 1 + r.IntN(20)
		var whole book.Quantities
		var sum book.Amount
		var rest book.Rest
		for range parts {
			q := book.Quantities{
				Core: r.Uint64N(1e15), Memory: r.Uint64N(1e18), Disk: r.Uint64N(1e18),
				Network: r.Uint64N(1e14), Partition: r.Uint64N(1e15), Requests: r.Uint64N(3),
			}
			var err error
			if whole, err = whole.Plus(q); err != nil {
				t.Fatal(err)
			}
			var a book.Amount
			if a, rest, err = rates.Cost(q, rest); err != nil {
				t.Fatal(err)
			}
			sum += a
		}
		exact := new(big.Rat)
		for _, term := range []struct {
			rate   book.Rate
			n, per uint64
		}{
			{rates.Core, whole.Core, 3600e9},
			{rates.Memory, whole.Memory, 3600 << 30},
			{rates.Disk, whole.Disk, 3600 << 30},
			{rates.Network, whole.Network, 1 << 30},
			{rates.Partition, whole.Partition, 3600e9},
			{rates.Request, whole.Requests, 1},
		} {
			x := new(big.Rat).SetInt64(int64(term.rate))
			x.Mul(x, new(big.Rat).SetFrac(new(big.Int).SetUint64(term.n), new(big.Int).SetUint64(term.per)))
			exact.Add(exact, x)
		}
		got := new(big.Rat).SetInt64(int64(sum))
		got.Mul(got, big.NewRat(1e6, 1)).Add(got, big.NewRat(int64(rest), 1))
		lost, _ := new(big.Rat).Sub(exact, got).Float64()
		if lost < 0 || lost > float64(6*parts) {
			t.Fatalf("seed %d: %d parts lose %g pico-credits", seed, parts, lost)
		}
	}
}

func TestPriceList(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	cost := func(n int64) book.Rates { return book.Rates{Core: book.Rate(n)} }
	var list book.PriceList
	var err error
	for _, step := range []struct {
		now, from int
		rate      int64
	}{{1, 1, 10}, {2, 10, 20}, {3, 20, 30}, {4, 15, 40}} { // the last takes the place of the 20th
		if list, err = list.With(day(step.now), day(step.from), cost(step.rate)); err != nil {
			t.Fatal(err)
		}
	}
	for on, want := range map[int]int64{1: 10, 9: 10, 10: 20, 14: 20, 15: 40, 31: 40} {
		if got := list.At(day(on)); got.Core != book.Rate(want) {
			t.Errorf("on day %d: %d, want %d", on, got.Core, want)
		}
	}
	if got := list.At(day(1).Add(-1)); !got.Zero() {
		t.Errorf("before the first: %v", got)
	}
	if _, err := list.With(day(5), day(4), cost(1)); !errors.Is(err, book.ErrPast) {
		t.Errorf("in the past: %v", err)
	}
	if _, err := list.With(day(5), day(5), cost(-1)); err == nil || errors.Is(err, book.ErrPast) {
		t.Errorf("negative: %v", err)
	}
	if _, err := list.With(day(5), day(5), book.Rates{Metrics: map[string]book.Rate{"rows": book.MaxRate + 1}}); err == nil {
		t.Error("an absurd rate was taken")
	}
	for n := range 2 * book.MaxVersions {
		if list, err = list.With(day(6+n), day(6+n), cost(int64(n))); err != nil {
			t.Fatal(err)
		}
	}
	if len(list) != book.MaxVersions {
		t.Errorf("%d versions", len(list))
	}
}

func TestTransfer(t *testing.T) {
	p := func(account string, a book.Amount) book.Posting { return book.Posting{Account: account, Amount: a} }
	for _, test := range []struct {
		name     string
		postings []book.Posting
		want     string
	}{
		{"nothing", nil, "[]"},
		{"from one to two", []book.Posting{p("z", -5), p("b", 2), p("a", 3)}, "[{a 0.000003} {b 0.000002} {z -0.000005}]"},
		{"to oneself", []book.Posting{p("a", -5), p("a", 5)}, "[]"},
		{"added up", []book.Posting{p("a", 2), p("b", -5), p("a", 3)}, "[{a 0.000005} {b -0.000005}]"},
		{"unbalanced", []book.Posting{p("a", 2), p("b", -1)}, "transfer does not sum to zero but to 0.000001"},
		{"too large", []book.Posting{p("a", math.MaxInt64), p("b", 1)}, "9223372036854.775807 + 0.000001: amount out of range"},
	} {
		transfer, err := book.NewTransfer(test.postings...)
		got := fmt.Sprint(transfer)
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
	if err := (book.Transfer{p("b", 1), p("a", -1)}).Check(); err == nil {
		t.Error("postings in no order are a transfer")
	}
}

func TestShare(t *testing.T) {
	for _, test := range []struct {
		a    book.Amount
		part uint32
		want book.Amount
	}{{100, 500_000, 50}, {3, 333_333, 0}, {math.MaxInt64, 1_000_000, math.MaxInt64}, {7, 2_000_000, 7}, {-5, 10, 0}} {
		if got := book.Share(test.a, test.part); got != test.want {
			t.Errorf("%d of %v: %v, want %v", test.part, test.a, got, test.want)
		}
	}
}

func BenchmarkCost(b *testing.B) {
	rates := book.Rates{Core: 5e9, Memory: 1e9, Disk: 1e7, Network: 1e10, Partition: 1e9}
	used := book.Quantities{Core: 6e11, Memory: 6e14, Disk: 6e15, Network: 1e9, Partition: 6e11}
	var rest book.Rest
	for b.Loop() {
		_, rest, _ = rates.Cost(used, rest)
	}
}

func ExampleRates_Cost() {
	core, _ := book.ParseRate("0.02") // credits for an hour of a core
	rates := book.Rates{Core: core}
	amount, _, _ := rates.Cost(book.Quantities{Core: uint64(90 * time.Minute)}, 0)
	fmt.Println(amount)
	// Output: 0.03
}
