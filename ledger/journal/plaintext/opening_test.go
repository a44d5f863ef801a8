package plaintext

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger/journal"
)

// TestOpeningBalances: whatever the period begins with, the sums of what is
// written are the balances at its end, in the formats for programs as in those
// for accounting.
func TestOpeningBalances(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 3))
		var entries []journal.Entry
		for n := range 200 {
			e := journal.Entry{N: uint64(n), At: journal.UnixNano(n) * journal.UnixNano(time.Minute), Kind: "paid"}
			if r.IntN(3) > 0 {
				sum := journal.Amount(r.Int64N(1e9))
				from, to := fmt.Sprint("a", r.IntN(5)), fmt.Sprint("=b", r.IntN(5))
				e.Postings = []journal.Posting{{Account: from, Amount: -sum}, {Account: to, Amount: sum}}
			}
			entries = append(entries, e)
		}
		o := Options{From: time.Unix(60*r.Int64N(250), 0), Until: time.Unix(60*(50+r.Int64N(250)), 0)}
		if r.IntN(2) == 0 {
			o.Account = "a1"
		}
		if !o.Until.After(o.From) {
			continue
		}
		want := make(sums)
		for _, e := range entries {
			if e.At.Time().Before(o.Until) && (o.Account == "" || posts(&e, o.Account)) {
				if err := want.add(e.Postings); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, c := range []struct {
			f    Format
			read func(testing.TB, string) sums
		}{{JSON, sumsOfJSON}, {CSV, sumsOfCSV}} {
			got := c.read(t, written(t, c.f, entries, o))
			maps.DeleteFunc(got, func(_ string, a journal.Amount) bool { return a == 0 })
			if left := fmt.Sprint(want.moved()); fmt.Sprint(got.moved()) != left {
				t.Errorf("seed %d: %s from %v of %q: %v, want %v", seed, c.f, o.From, o.Account, got.moved(), left)
			}
		}
	}
}

func sumsOfJSON(tb testing.TB, text string) sums {
	tb.Helper()
	var lines []struct {
		Kind     string        `json:"kind"`
		Entry    *uint64       `json:"entry"`
		Postings []jsonPosting `json:"postings"`
	}
	if err := json.Unmarshal([]byte(text), &lines); err != nil {
		tb.Fatal(err)
	}
	got := make(sums)
	for n, l := range lines {
		if (l.Entry == nil) != (l.Kind == openingKind) || l.Entry == nil && n > 0 {
			tb.Errorf("line %d is %+v", n, l)
		}
		for _, p := range l.Postings {
			got[p.Account] += p.Micro
		}
	}
	return got
}

func sumsOfCSV(tb testing.TB, text string) sums {
	tb.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	got := make(sums)
	for _, row := range rows[1:] {
		micro, err := strconv.ParseInt(row[13], 10, 64)
		if err != nil || len(row) != len(csvHeader) {
			tb.Fatal(row, err)
		}
		got[strings.TrimPrefix(row[11], "'")] += journal.Amount(micro)
	}
	return got
}
