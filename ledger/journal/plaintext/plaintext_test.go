package plaintext

import (
	"errors"
	"flag"
	"iter"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger/journal"
)

var golden = flag.Bool("golden", os.Getenv("GOLDEN") == "write", "write the golden files")

// list gives entries as a journal does.
func list(entries []journal.Entry) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func written(tb testing.TB, f Format, entries []journal.Entry, o Options) string {
	tb.Helper()
	var b strings.Builder
	if err := Write(&b, f, list(entries), o); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func at(text string) journal.UnixNano {
	moment, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return journal.UnixNano(moment.UnixNano())
}

// aMonth is a short history: credits are made, somebody is billed, the
// publisher and the mesh have their shares.
var aMonth = []journal.Entry{
	{N: 0, Index: 1, At: at("2026-11-01T08:00:00Z"), Kind: "founded", Principal: "system"},
	{
		N: 1, Index: 4, At: at("2026-11-01T09:00:00Z"), Kind: "paid", Principal: "peer 3f2a", Peer: "3f2a", Account: "ann@example.com",
		Postings: []journal.Posting{{Account: "@mint", Amount: -12_500_000}, {Account: "ann@example.com", Amount: 12_500_000}},
	},
	{N: 2, Index: 5, At: at("2026-11-01T09:00:01.5Z"), Kind: "allocated", Account: "ann@example.com", Instance: 7, Computer: "3f2a"},
	{
		N: 3, Index: 9, At: at("2026-11-02T00:00:00Z"), Kind: "charged", Principal: "peer 3f2a", Account: "ann@example.com",
		Instance: 7, Computer: "3f2a", Used: []journal.Quantity{{Unit: "core-nanoseconds", Amount: 1_500_000_000}, {Unit: "metric; a\nb", Amount: 12}},
		Postings: []journal.Posting{
			{Account: "=bob; \"the builder\"", Amount: 1_999_999},
			{Account: "@mesh", Amount: 1},
			{Account: "ann@example.com", Amount: -2_000_000},
		},
	},
}

var monthly = Options{
	Mesh:     "home; sweet",
	Balances: map[string]journal.Amount{"@mint": -12_500_000, "@mesh": 1, "ann@example.com": 10_500_000, "=bob; \"the builder\"": 1_999_999, "nobody": 0},
}

// TestGolden shows what each format looks like, whole, of one account and of
// a period.
func TestGolden(t *testing.T) {
	part := Options{Mesh: "home", Account: "@mesh", From: at("2026-11-02T00:00:00Z").Time(), Balances: monthly.Balances}
	later := Options{Mesh: "home", From: at("2026-11-01T12:00:00Z").Time(), Until: at("2026-11-02T00:00:00Z").Time()}
	for _, f := range Formats() {
		for name, o := range map[string]Options{"all": monthly, "mesh": part, "later": later} {
			path := filepath.Join("testdata", name+"."+string(f))
			have := written(t, f, aMonth, o)
			if *golden {
				if err := os.WriteFile(path, []byte(have), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if have != string(want) {
				t.Errorf("%s: not as it was (GOLDEN=write go test accepts):\n%s", path, have)
			}
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	pay := func(n uint64, moment journal.UnixNano, postings ...journal.Posting) journal.Entry {
		return journal.Entry{N: n, At: moment, Kind: "paid", Postings: postings}
	}
	huge := []journal.Posting{{Account: "a", Amount: math.MaxInt64}, {Account: "b", Amount: -math.MaxInt64}}
	for _, c := range []struct {
		name    string
		entries []journal.Entry
		o       Options
		want    string
	}{
		{"a sum", []journal.Entry{pay(4, 0, journal.Posting{Account: "a", Amount: 1})}, Options{}, "entry 4: its postings do not sum to zero"},
		{"a sum that wraps round", []journal.Entry{pay(4, 0, journal.Posting{Account: "a", Amount: math.MinInt64}, journal.Posting{Account: "b", Amount: math.MinInt64})}, Options{}, "do not sum to zero"},
		{"an order", []journal.Entry{pay(4, 0), pay(4, 0)}, Options{}, "entry 4: it follows entry 4"},
		{"time", []journal.Entry{pay(4, 5), pay(5, 4)}, Options{}, "entry 5: 1970-01-01T00:00:00.000000004Z is before"},
		{"a name", []journal.Entry{{Kind: "x", Computer: "a\n2026-01-01 open"}}, Options{}, "entry 0: computer"},
		{"bytes", []journal.Entry{{Kind: "x", Account: "\xff"}}, Options{}, "not one line of text"},
		{"a posting", []journal.Entry{pay(0, 0, journal.Posting{Account: "a\rb"})}, Options{}, "posting to"},
		{"nobody", []journal.Entry{pay(0, 0, journal.Posting{})}, Options{}, "a posting without account"},
		{"a kind", []journal.Entry{{Kind: "x\u2028"}}, Options{}, "kind"},
		{"a mesh", nil, Options{Mesh: "a\nb"}, "mesh"},
		{"an opening", []journal.Entry{pay(0, 0, huge...), pay(1, 0, huge...)}, Options{From: time.Unix(1, 0)}, "entry 1: account \"a\": its balance is out of range"},
	} {
		err := Write(&strings.Builder{}, Beancount, list(c.entries), c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if err := Write(&strings.Builder{}, "xml", list(nil), Options{}); err == nil || err.Error() != `format "xml": one of [json csv ledger beancount]` {
		t.Error(err)
	}
}

// full is a disk.
type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

// TestWriteFails ends with the errors of who reads and who writes.
func TestWriteFails(t *testing.T) {
	damaged := errors.New("damaged")
	for _, f := range Formats() {
		if err := Write(full{}, f, list(aMonth), monthly); !errors.Is(err, errFull) {
			t.Errorf("%s: a full disk: %v", f, err)
		}
		err := Write(&strings.Builder{}, f, func(yield func(journal.Entry, error) bool) {
			_ = yield(aMonth[0], nil) && yield(journal.Entry{}, damaged)
		}, Options{})
		if !errors.Is(err, damaged) {
			t.Errorf("%s: a damaged journal: %v", f, err)
		}
	}
}

func TestCredits(t *testing.T) {
	for amount, want := range map[journal.Amount]string{
		0: "0.000000", 1: "0.000001", -1: "-0.000001", -12_500_000: "-12.500000",
		math.MaxInt64: "9223372036854.775807", math.MinInt64: "-9223372036854.775808",
	} {
		if have := credits(amount); have != want {
			t.Errorf("%d: %s, want %s", amount, have, want)
		}
	}
}
