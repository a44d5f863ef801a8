package ledger

import (
	"errors"
	"strings"
	"testing"
)

// TestQuotaOfNeeds: who has a quota of memory says what an instance needs, but
// for what needs nothing, and for what a profile requests.
func TestQuotaOfNeeds(t *testing.T) {
	w := given(t, home+`
		p1 user bob
		p1 quota bob memory=2147483648
		@bob request a web 1 +memory=1
	`)
	for _, tc := range [][2]string{
		{"@bob request b web 1", "! request b: account bob has a quota of memory: say how much the instance needs (invalid)"},
		{"@bob request c db 1 parent=i1", "! request c: account bob has a quota of memory"},
		{"p1 request c db 1 parent=i1", "allocated c of bob"},
		{"p1 request d db 1 parent=i1 +memory=2", "! request d: account bob may have 2 GiB of memory and has 1 GiB of memory"},
		{"@bob request s web 1 shared=yes ?instance=i1", "allocated s of bob"},
		{"@bob request a web 1 +memory=3", "! request a: account bob may have 2 GiB"},
		{"p1 disable bob", "disabled bob"},
		{"p1 request e db 1 parent=i1", "! request e: account bob is disabled"},
		{"p1 request c db 1 parent=i1 x=1", "changed c of bob"},
	} {
		if got := w.run(tc[0]); !strings.Contains(got, tc[1]) {
			t.Errorf("%s\ngot %s\nwant %s", tc[0], got, tc[1])
		}
	}
	if err := w.check(); err != nil {
		t.Error(err)
	}
}

// TestNeedsInAll: what the instances of an account need together stays in
// range, quota or not, where computers do not say how much they have.
func TestNeedsInAll(t *testing.T) {
	w := given(t, home)
	const most = maxTally - MaxNeed
	w.tally("ann", Tally{Needs: Needs{Memory: most}})
	request := Request{Reference: "b", Release: DigestOf(profileOf("db", "1")), Needs: Needs{Memory: MaxNeed}}
	w.run("p1 publish db 1")
	if _, err := w.ask(AsPeer("p1"), request); err != nil {
		t.Error(err)
	}
	request.Reference = "c"
	if _, err := w.ask(AsPeer("p1"), request); !errors.Is(err, ErrExhausted) {
		t.Errorf("more than can be added up: %v", err)
	}
}
