package plaintext

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger/journal"
)

// hostile are names that mean something to one of the programs, or that a
// careless mapping would make one of.
var hostile = []string{
	"@mint", "@mesh", "ann", "Ann", "ANN", "a-b", "a--b", "a---b", "-a", "a-", "-", "--", "a.b", "a b", "a  b", " a", "a ",
	"--2E-", "a--2E-b", "a-2E-b", "%2E", "a%2Eb", "a%3Ab", "a:b", "a:b:c", ":", "a;b", "a ; b", "a  ; b", ";", "; date: 1999-01-01",
	"(virtual)", "[balanced]", "<deferred>", "{cost}", "a=b", "= 5 CREDIT", "a @ 3 EUR", "@@", "*", "! a", "* a", "#tag", "a #tag", "^link", "~ monthly", "P 2026", "include x",
	`"`, `a"b`, `\`, `a\`, `\"`, `'`, `''`, "a,b", "a|b", "1", "1.50", "1 CREDIT", "007", "2026-11-22", "9lives", "true", "NULL", "é", "É", "é", "Ångström", "ﬁ", "中村", "中", "مرحبا", "שלום",
	"Ωmega", "ǅ", "ß", "ẞ", "İ", "ı", "नमस्ते", "🦊", "a🦊b", "﹍", "．", "＝1+1", "\u00a0", "a\u3000b", "a\u200bb", "a\u202eb", "﷽", "😀; x  y", "$(reboot)", "=cmd|'/c calc'!A0", "+1", "-1", "a/b", "..", "~", "`",
	strings.Repeat("ü", 32), strings.Repeat(" x", 31), strings.Repeat("-", 64), strings.Repeat("@", 64),
}

// A history is random entries and what they come to.
func history(rng *rand.Rand, n int) ([]journal.Entry, map[string]journal.Amount) {
	entries, balances := make([]journal.Entry, n), make(sums)
	moment := at("2026-01-01T00:00:00Z")
	for i := range entries {
		moment += journal.UnixNano(rng.Int64N(int64(6 * time.Hour)))
		e := &entries[i]
		*e = journal.Entry{N: uint64(i), Index: uint64(i / 3), At: moment, Kind: "charged", Principal: name(rng), Instance: rng.Uint64N(3)}
		e.Peer, e.Account, e.Computer = name(rng), name(rng), name(rng)
		if rng.IntN(2) == 0 {
			e.Used = []journal.Quantity{{Unit: "core-nanoseconds", Amount: rng.Uint64()}, {Unit: name(rng), Amount: 1}}
		}
		if rng.IntN(20) == 0 {
			e.Kind = name(rng)
		}
		if rng.IntN(10) == 0 {
			continue
		}
		var sum journal.Amount
		for range 1 + rng.IntN(4) {
			amount := journal.Amount(rng.Int64N(1 << (1 + rng.IntN(50))))
			if rng.IntN(2) == 0 {
				amount = -amount
			}
			sum += amount
			e.Postings = append(e.Postings, journal.Posting{Account: name(rng), Amount: amount})
		}
		e.Postings = append(e.Postings, journal.Posting{Account: name(rng), Amount: -sum})
		if err := balances.add(e.Postings); err != nil {
			panic(err)
		}
	}
	return entries, balances
}

func name(rng *rand.Rand) string {
	if rng.IntN(3) > 0 {
		return hostile[rng.IntN(len(hostile))]
	}
	name := hostile[rng.IntN(len(hostile))] + string([]rune(" -;a:%2中")[rng.IntN(8)]) + hostile[rng.IntN(len(hostile))]
	for len(name) > 64 {
		runes := []rune(name)
		name = string(runes[:len(runes)-1])
	}
	return name
}

// program runs one of the real programs.
func program(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed: .ci/setup test does", name)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+t.TempDir(), "BEANCOUNT_DISABLE_LOAD_CACHE=1")
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %.2000s", name, err, complaint.String())
	}
	return out.String(), nil
}

// micros reads what a program printed, such as "-1.5 CREDIT" or "0".
func micros(t *testing.T, text string) journal.Amount {
	t.Helper()
	number := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), currency))
	r, ok := new(big.Rat).SetString(number)
	if !ok {
		t.Fatalf("%q is not an amount", text)
	}
	r.Mul(r, big.NewRat(1_000_000, 1))
	if !r.IsInt() || !r.Num().IsInt64() {
		t.Fatalf("%q is not a number of micro-credits", text)
	}
	return journal.Amount(r.Num().Int64())
}

// balancesOf reads a file's balances as a program computes them, by the names
// that accounts have in it.
var balancesOf = map[string]struct {
	format Format
	ask    func(file string) []string
	comma  rune
}{
	"hledger": {Ledger, func(file string) []string {
		return []string{"-f", file, "balance", "--flat", "--empty", "--no-total", "-O", "csv"}
	}, ','},
	"ledger": {Ledger, func(file string) []string {
		return []string{"-f", file, "--pedantic", "balance", "--flat", "--empty", "--no-total", "--format", "%(account)\t%(quantity(scrub(total)))\n"}
	}, '\t'},
	"bean-query": {Beancount, func(file string) []string {
		return []string{"-f", "csv", file, "SELECT account, sum(number) GROUP BY account"}
	}, ','},
}

// TestProgramsAgree has the programs add up what happened between accounts
// with awful names, and compares, to the micro-credit.
func TestProgramsAgree(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	entries, balances := history(rand.New(rand.NewPCG(seed, 0)), 3000)
	files := make(map[Format]string)
	for _, f := range []Format{Ledger, Beancount} {
		files[f] = filepath.Join(t.TempDir(), "journal."+string(f))
		text := written(t, f, entries, Options{Mesh: "home", Balances: balances})
		if err := os.WriteFile(files[f], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, p := range balancesOf {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := program(t, name, p.ask(files[p.format])...)
			if err != nil {
				t.Fatal(err)
			}
			r := csv.NewReader(strings.NewReader(out))
			r.Comma, r.LazyQuotes = p.comma, p.comma == '\t'
			rows, err := r.ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			have := make(map[string]journal.Amount)
			for _, row := range rows {
				if !strings.Contains(row[0], ":") {
					continue // a header
				}
				have[strings.TrimSpace(row[0])] = micros(t, row[1])
			}
			for account, want := range balances {
				if sum := have[p.format.Account(account)]; sum != want {
					t.Errorf("%q (%s): %d, want %d", account, p.format.Account(account), sum, want)
				}
				delete(have, p.format.Account(account))
			}
			if len(have) > 0 {
				t.Errorf("accounts that nobody has: %v", have)
			}
		})
	}
}

// TestProgramsCheck has the programs check a file with all the strictness that
// they have; and sees that they refuse one with a balance that is wrong by a
// micro-credit.
func TestProgramsCheck(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	entries, balances := history(rand.New(rand.NewPCG(seed, 0)), 300)
	later := Options{From: entries[100].At.Time(), Balances: balances}
	one := Options{Account: "@mint", From: entries[100].At.Time(), Balances: balances}
	wrong := maps.Clone(balances)
	wrong["@mint"]++
	for name, check := range map[string]func(file string) (Format, []string){
		"hledger":    func(file string) (Format, []string) { return Ledger, []string{"-f", file, "check", "--strict"} },
		"ledger":     func(file string) (Format, []string) { return Ledger, []string{"-f", file, "--pedantic", "balance"} },
		"bean-check": func(file string) (Format, []string) { return Beancount, []string{file} },
	} {
		for what, c := range map[string]struct {
			entries []journal.Entry
			o       Options
			fails   bool
		}{
			"nothing":                   {nil, Options{Mesh: "home"}, false},
			"all":                       {entries, Options{Mesh: `"; home`, Balances: balances}, false},
			"a period":                  {entries, later, false},
			"an account":                {entries, one, false},
			"a wrong balance":           {entries, Options{Balances: wrong}, true},
			"a wrong balance, later":    {entries, Options{Account: "@mint", From: later.From, Balances: wrong}, true},
			"a balance out of nowhere":  {entries, Options{Balances: map[string]journal.Amount{"unheard of": 1}}, true},
			"a balance without entries": {nil, Options{Balances: map[string]journal.Amount{"unheard of": 1}}, true},
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				t.Parallel()
				file := filepath.Join(t.TempDir(), "file")
				format, args := check(file)
				if err := os.WriteFile(file, []byte(written(t, format, c.entries, c.o)), 0o600); err != nil {
					t.Fatal(err)
				}
				out, err := program(t, name, args...)
				if (err != nil) != c.fails {
					t.Errorf("%v, failing wanted: %t\n%.2000s", err, c.fails, out)
				}
			})
		}
	}
}

// TestAccountsOfBeancount asks bean-check about every letter that stands for
// itself.
func TestAccountsOfBeancount(t *testing.T) {
	var entries []journal.Entry
	for _, r := range beanRanges.R16 {
		e := journal.Entry{N: uint64(r.Lo), Kind: "paid"}
		for letter := rune(r.Lo); letter <= rune(r.Hi); letter++ {
			e.Postings = append(e.Postings, journal.Posting{Account: string(letter) + "-" + string(letter)})
		}
		entries = append(entries, e)
	}
	file := filepath.Join(t.TempDir(), "letters.beancount")
	if err := os.WriteFile(file, []byte(written(t, Beancount, entries, Options{})), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := program(t, "bean-check", file); err != nil {
		t.Error(err)
	}
}
