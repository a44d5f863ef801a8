package placement_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/ledger/placement"
)

func ExampleParseFilter() {
	e, err := placement.ParseFilter(`cores >= 4 and country in [FR, "DE"] and not (site = attic) and memory >= 8GiB`)
	fmt.Println(e, err)
	_, err = placement.ParseFilter(`cores >= 4 and country in FR`)
	fmt.Println(err)
	// Output:
	// cores >= 4 and country in ["FR", "DE"] and not site = "attic" and memory >= 8GiB <nil>
	// filter, column 27: found FR, expected [
}

var sample = placement.Candidate{
	ID: "c1", Name: "cellar", Owner: "ann", Free: 3, Used: 1, Grade: "sandbox", Arch: "amd64",
	Capacity: placement.Resources{Cores: 4500, Memory: 16 << 30},
	Reserved: placement.Resources{Cores: 1000, Memory: 12 << 30},
	Rates:    placement.Rates{Partition: 10e6, Memory: 3e6},
	Labels:   map[string]string{"country": "FR", "gpus": "2", "ram-disk": "4GiB", "grade": "odd", "zone": "010", "empty": ""},
}

func TestEval(t *testing.T) {
	want := &placement.Want{Needs: placement.Resources{Memory: 2 << 30}}
	for filter, why := range map[string]string{
		// Equality, sets and presence.
		`country = FR`:                          "",
		`country == 'FR'`:                       "",
		`"FR" = country`:                        "",
		`country != FR`:                         "wrong country (wants != \"FR\")",
		`country = DE`:                          "wrong country (wants DE)",
		`country in [DE, FR]`:                   "",
		`country not in [DE, FR]`:               `wrong country (wants not in ["DE", "FR"])`,
		`country in [DE, 7]`:                    `wrong country (wants in ["DE", 7])`,
		`has gpus and has memory and has empty`: "",
		`has disk`:                              "without disk",
		`not has fpga`:                          "",
		`fpga = x or fpga < x or fpga >= x or fpga in [x]`:                                "not as the filter wants (wants fpga = \"x\" or fpga < \"x\" or fpga >= \"x\" or fpga in [\"x\"])",
		`fpga != x and fpga not in [x] and not fpga < x`:                                  "",
		`computer = c1 and computer = cellar and computer in [cellar] and computer != c2`: "",
		`name = c1`: "wrong name (wants c1)",
		`owner = ann and grade = sandbox and arch = amd64`: "",
		"`grade` = odd":     "",
		"`grade` = sandbox": "wrong `grade` (wants sandbox)",
		// Numbers.
		`cores = 4 and millicores = 4500 and cores_free = 3`: "",
		`4 <= cores`: "",
		`cores > 4`:  "wrong cores (wants > 4)",
		`memory >= 16GiB and memory_free = 4096MiB`:                  "",
		`memory_free >= memory / 2`:                                  "wrong memory_free (wants >= memory / 2)",
		`memory > (memory_free)`:                                     "",
		`partitions_free = 3 and price = 16`:                         "",
		`disk > 0 or disk <= 0`:                                      `not as the filter wants (wants disk > 0 or disk <= 0)`,
		`gpus = 2 and gpus + 1 = 3 and gpus * -1 < 0`:                "",
		`gpus = "2" and gpus != "02" and zone = 10 and zone != "10"`: "",
		`ram-disk = 4GiB and ram-disk - 4GiB = 0`:                    "",
		`country > 5`: "wrong country (wants > 5)",
		`not country > 5 and not country + 1 > 5`: "",
		`country > ES and country < GB`:           "",
		`-cores = -4 and - -cores = 4`:            "",
		`7 / gpus = 3 and -7 / gpus = -3 and -7 % gpus = -1 and 1 + 2 * gpus = 5 and (1 + 2) * gpus = 6 and 9 - 4 - gpus = 3`: "",
		// Faults.
		`memory / (gpus - 2) > 1`:           "where the filter divides by zero",
		`memory % (gpus - 2) > 1`:           "where the filter divides by zero",
		`not memory / (gpus - 2) > 1`:       "where the filter divides by zero",
		`memory * 8TiB > 1`:                 "where the filter overflows",
		`memory * 1TiB > 1 or country = FR`: "where the filter overflows",
		`country = FR or memory * 1TiB > 1`: "",
		`fpga / (gpus - 2) > 1`:             "wrong", // what is not known is not divided
	} {
		e, err := placement.ParseFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		ok, r := e.Eval(&sample, want)
		got := ""
		if !ok {
			if got = r.Text; r.Wants != "" {
				got += " (wants " + r.Wants + ")"
			}
		}
		if filter == `fpga / (gpus - 2) > 1` {
			got = strings.Fields(strings.ReplaceAll(got, "not as the filter wants", "wrong"))[0]
		}
		if got != why {
			t.Errorf("%s: %q, want %q", filter, got, why)
		}
		checkPrinting(t, e)
	}
}

func checkPrinting(t *testing.T, e *placement.Expr) {
	t.Helper()
	again, err := placement.ParseFilter(e.String())
	if err != nil {
		if s := (*placement.SyntaxError)(nil); errors.As(err, &s) && len(e.String()) > placement.MaxFilter {
			return // the canonical form has more quotes
		}
		t.Fatalf("%s: %v", e, err)
	}
	if !reflect.DeepEqual(e, again) || e.String() != again.String() {
		t.Fatalf("%s became %s", e, again)
	}
}

func TestParseRefuses(t *testing.T) {
	for filter, why := range map[string]string{
		``:                                       "column 1: found the end, expected a name, a value, not, has or (",
		`cores >=`:                               "column 9: found the end, expected a name, a value, not, has or (",
		`cores >= 4 and`:                         "column 15: found the end, expected a name, a value, not, has or (",
		`cores >= 4 country = FR`:                "column 12: found country, expected and, or, or the end",
		`cores`:                                  "column 1: cores alone says nothing: compare it, or ask whether it is known: has cores",
		`gpu and cores > 1`:                      "column 1: gpu alone says nothing: compare it, or ask whether it is known: has gpu",
		`cores + 1`:                              "column 1: cores + 1 is a value: expected a comparison",
		`not 4`:                                  "column 5: 4 is a value: expected a comparison",
		`(cores > 1`:                             "column 11: found the end, expected )",
		`has 4`:                                  "column 5: found 4, expected a name",
		`country in [FR`:                         "column 15: found the end, expected , or ]",
		`country in []`:                          "column 13: found ], expected a number or a text",
		`country in [-FR]`:                       "column 14: found FR, expected a number",
		`1 < cores < 4`:                          "column 11: comparisons do not chain: join them by and",
		`(1 < cores) = 4`:                        "column 13: comparisons do not chain: join them by and",
		`cores = (country = FR)`:                 "column 9: expected a value, found a comparison",
		`cores / 0 > 1`:                          "column 9: cores / 0 divides by zero",
		`cores % (2 - 2) > 1`:                    "column 9: cores % (2 - 2) divides by zero",
		`cores > 8388608TiB`:                     "column 9: 8388608TiB is too large",
		`cores > 99999999999999999999`:           "column 9: 99999999999999999999 is too large",
		`cores > 8388607TiB + 1TiB`:              "column 22: 8388607TiB + 1TiB overflows",
		`memory >= 8GB`:                          `column 1: "8GB" is a text and memory is a number; sizes end in KiB, MiB, GiB or TiB`,
		`memory >= disk`:                         `column 1: "disk" is a text and memory is a number; the fact is written (disk)`,
		`owner = 4`:                              "column 1: owner is a text and 4 is a number; put it in quotes",
		`owner + 1 = 4`:                          "column 1: owner is no number",
		`1 + owner = 4`:                          "column 5: owner is no number",
		`1 = 1`:                                  "column 1: 1 = 1 compares no fact or label of the computer",
		`memory-1 > 2`:                           "column 1: memory-1 is one word: write spaces round the minus sign",
		`country = "FR`:                          `column 11: " is never closed`,
		`country = FR & has gpu`:                 "column 14: '&' means nothing here",
		"country = \"F\x00\"":                    "column 11: character U+0000 between quotes",
		"coun\u202etry = FR":                     "column 1: character U+202E in a word",
		"a = b\x01":                              "column 6: character U+0001",
		"a = \xff":                               "column 1: it is not UTF-8",
		"`` = 1":                                 "column 1: a label has a name",
		`é = ü or é`:                             "column 10: é alone says nothing: compare it, or ask whether it is known: has é",
		strings.Repeat("(", 33):                  "column 34: nested more than 32 deep",
		strings.Repeat("not ", 4000/4) + "has a": "column 133: nested more than 32 deep",
		strings.Repeat("-", 4000) + "1":          "column 34: nested more than 32 deep",
		strings.Repeat("has a and ", 64) + "has a": "column 645: more than 64 names and values",
		strings.Repeat(" ", 4097):                  "column 1: it has 4097 bytes, at most 4096",
	} {
		_, err := placement.ParseFilter(filter)
		if s := (*placement.SyntaxError)(nil); !errors.As(err, &s) || err.Error() != "filter, "+why {
			t.Errorf("%.40s: %v\n\twant %s", filter, err, why)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	for _, s := range []string{
		`cores >= 4 and country in [FR, "DE"] and not (site = attic) and memory >= 8GiB`,
		`1 + 2 * -gpus / (memory % 3) - 4 != (disk) or has x`, "`a b` = 'x\\'y' and a not in [-1, b-c]", `((a = b))`, `"x" <= a`,
		`not not (a = b or b = c) and (a = b and (c = d))`, `a = b - c`, `a-b = c`, `8GiB-1 < a`, `a = (b)`, `1 - (2 - a) = 0`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := placement.ParseFilter(text)
		if err != nil {
			if s := (*placement.SyntaxError)(nil); !errors.As(err, &s) || s.Column < 1 || len(err.Error()) > 1000 {
				t.Fatal(err)
			}
			return
		}
		checkPrinting(t, e)
		ok, r := e.Eval(&sample, nil)
		if ok != (r == nil) || r != nil && len(r.Text)+len(r.Wants) > 400 {
			t.Fatal(ok, r)
		}
	})
}

func BenchmarkParseFilter(b *testing.B) {
	for b.Loop() {
		if _, err := placement.ParseFilter(`cores >= 4 and country in [FR, "DE"] and not (site = attic) and memory >= 8GiB`); err != nil {
			b.Fatal(err)
		}
	}
}
