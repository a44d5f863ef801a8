package logstore

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
)

// FuzzParseStable parses whatever has the right checksum. It may be refused,
// but without a panic, and what is accepted is accepted again.
func FuzzParseStable(f *testing.F) {
	f.Add([]byte(`{"CurrentTerm":"AAAAAAAAAAc=","LastVoteCand":"YiMy"}`))
	f.Add([]byte(`null`))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, tail []byte) {
		_, _ = parseStable(tail)
		values, err := parseStable(append([]byte(stableSum(tail)), tail...))
		if err != nil {
			return
		}
		again, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseStable(append([]byte(stableSum(again)), again...))
		if err != nil || !maps.EqualFunc(got, values, slices.Equal[[]byte]) {
			t.Fatalf("%q became %q, %v", values, got, err)
		}
	})
}
