package plaintext

import (
	"encoding/csv"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/slapmesh/slapmesh/ledger/journal"
)

var (
	percentForm = regexp.MustCompile(`%[0-9A-F]{2}`)
	dashedForm  = regexp.MustCompile(`^(?:--([0-9A-F]{2,})-|[^-]|-)`)
	beanAccount = regexp.MustCompile(`^Assets:Wallet-[\p{L}\p{Nd}-]*$`)
)

// unpercent and undashed read names back: that they can is what makes names
// differ.
func unpercent(text string) string {
	return percentForm.ReplaceAllStringFunc(text, func(form string) string {
		n, _ := strconv.ParseUint(form[1:], 16, 8)
		return string([]byte{byte(n)})
	})
}

func undashed(text string) string {
	var b strings.Builder
	for text != "" {
		form := dashedForm.FindStringSubmatch(text)
		text = text[len(form[0]):]
		if form[1] == "" {
			b.WriteString(form[0])
			continue
		}
		n, _ := strconv.ParseInt(form[1], 16, 32)
		b.WriteRune(rune(n))
	}
	return b.String()
}

func FuzzAccount(f *testing.F) {
	for _, name := range hostile {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !utf8.ValidString(name) {
			return
		}
		if back := strings.TrimPrefix(CSV.Account(name), "'"); back != name && CSV.Account(name) != name {
			t.Errorf("csv: %q is read as %q", name, back)
		}
		if name == mintAccount || name == meshAccount {
			return
		}
		wallet := Ledger.Account(name)
		if back := unpercent(strings.TrimPrefix(wallet, "Assets:Wallets:")); back != name {
			t.Errorf("ledger: %q is %q, which is read as %q", name, wallet, back)
		}
		if strings.ContainsAny(wallet, "\t\n;()[]{}\"'=*!,|<>") || strings.Contains(wallet, "  ") || strings.TrimSpace(wallet) != wallet || strings.Count(wallet, ":") != 2 {
			t.Errorf("ledger: %q is %q", name, wallet)
		}
		wallet = Beancount.Account(name)
		if back := undashed(strings.TrimPrefix(wallet, "Assets:Wallet-")); back != name {
			t.Errorf("beancount: %q is %q, which is read as %q", name, wallet, back)
		}
		if !beanAccount.MatchString(wallet) {
			t.Errorf("beancount: %q is %q", name, wallet)
		}
	})
}

// lineForms are all lines that formats of lines have.
var lineForms = []struct {
	format Format
	line   *regexp.Regexp
}{
	{Ledger, regexp.MustCompile(`^(;.*|commodity CREDIT|tag [a-z]+|account (Assets|Equity):\S.*|\d{4}-\d\d-\d\d \* \(\d+\) .*|    (format 1.000000 CREDIT|; [a-z]+: .*|(Assets|Equity):\S+( \S+)*  -?\d+\.\d{6} CREDIT)|)$`)},
	{Beancount, regexp.MustCompile(`^(;.*|option "[a-z_]+" ".*"|\d{4}-\d\d-\d\d (commodity CREDIT|open \S+ CREDIT|\* ".*")|  ([a-z]+: ".*"|\S+  -?\d+\.\d{6} CREDIT)|)$`)},
}

// FuzzWrite reads what was written, and looks for lines that nobody meant.
func FuzzWrite(f *testing.F) {
	for i, name := range hostile {
		f.Add(name, hostile[(i*7)%len(hostile)], int64(i)<<i%60, uint64(i))
	}
	f.Fuzz(func(t *testing.T, a, b string, amount int64, n uint64) {
		if amount == -amount {
			amount = 1
		}
		e := journal.Entry{
			N: n, At: journal.UnixNano(n), Kind: a, Principal: b, Peer: a, Account: b, Instance: n, Computer: a + b,
			Used:     []journal.Quantity{{Unit: b + "\n", Amount: n}, {Unit: a, Amount: 1}},
			Postings: []journal.Posting{{Account: a, Amount: journal.Amount(amount)}, {Account: b, Amount: -journal.Amount(amount)}},
		}
		var out strings.Builder
		if err := Write(&out, JSON, list([]journal.Entry{e, {N: n + 1}}), Options{}); err != nil {
			return // refused, in all formats alike
		}
		readJSON(t, out.String(), e)
		readCSV(t, written(t, CSV, []journal.Entry{e}, Options{}), e)
		for _, form := range lineForms {
			for text := range strings.SplitSeq(strings.TrimSuffix(written(t, form.format, []journal.Entry{e}, Options{Mesh: a}), "\n"), "\n") {
				if !form.line.MatchString(text) {
					t.Errorf("%s: %q is no line of it", form.format, text)
				}
			}
		}
	})
}

func readJSON(t *testing.T, text string, e journal.Entry) {
	t.Helper()
	var have []jsonEntry
	if err := json.Unmarshal([]byte(text), &have); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	h := have[0]
	if len(have) != 2 || h.Entry != e.N || h.Kind != e.Kind || h.Principal != e.Principal || h.Computer != e.Computer || h.Instance != e.Instance {
		t.Errorf("%+v is read as %+v", e, h)
	}
	for i, q := range e.Used {
		if h.Used[i] != jsonUsed(q) {
			t.Errorf("%+v is read as %+v", q, h.Used[i])
		}
	}
	for i, p := range e.Postings {
		if h.Postings[i] != (jsonPosting{p.Account, credits(p.Amount), p.Amount}) {
			t.Errorf("%+v is read as %+v", p, h.Postings[i])
		}
	}
}

func readCSV(t *testing.T, text string, e journal.Entry) {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) != 1+len(e.Postings) {
		t.Fatalf("%d rows, %v:\n%s", len(rows), err, text)
	}
	unguarded := func(field string) string { return strings.TrimPrefix(field, "'") }
	for i, p := range e.Postings {
		row := rows[1+i]
		if unguarded(row[3]) != e.Kind || unguarded(row[4]) != e.Principal || unguarded(row[8]) != e.Computer || unguarded(row[9]) != used(&e) || unguarded(row[11]) != p.Account ||
			row[12] != credits(p.Amount) || row[13] != strconv.FormatInt(int64(p.Amount), 10) {
			t.Errorf("%+v is read as %q", p, row)
		}
		for _, field := range row[:12] {
			if field != "" && strings.ContainsRune("=+-@", rune(field[0])) {
				t.Errorf("a spreadsheet computes %q", field)
			}
		}
	}
}
