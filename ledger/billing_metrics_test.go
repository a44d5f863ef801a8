package ledger

import (
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestMetricNames says which names of metrics are billed: those that history
// can hold and people can read, and no more of them than a bill has.
func TestMetricNames(t *testing.T) {
	many := func(prefix string, n int) map[string]uint64 {
		m := make(map[string]uint64)
		for k := range n {
			m[fmt.Sprint(prefix, k)] = 1
		}
		return m
	}
	for _, test := range []struct {
		name    string
		metrics []map[string]uint64 // of reports that follow one another
		fault   string              // of the last one
	}{
		{"few", []map[string]uint64{{"mails": 3}}, ""},
		{"as many as may be", []map[string]uint64{many("m", MaxMetrics), many("m", MaxMetrics)}, ""},
		{"too many together", []map[string]uint64{many("m", MaxMetrics), {"mails": 3}}, "17 metrics on one bill"},
		{"too many at once", []map[string]uint64{many("m", MaxMetrics+1)}, "17 metrics, at most 16"},
		{"long", []map[string]uint64{{strings.Repeat("m", MaxName+1): 3}}, "65 bytes, at most 64"},
		{"empty", []map[string]uint64{{"": 3}}, "metric: required"},
		{"unreadable", []map[string]uint64{{"a\nb": 3}}, "only printable"},
	} {
		w := given(t, "system found home ann p1\np1 publish web 1\np1 offer 2\n@ann request a web 1\n")
		var err error
		for n, metrics := range test.metrics {
			r := UsageReport{Mesh: "id-home", Computer: "p1", Number: uint64(n + 1), From: w.at, Entries: []UsageEntry{{1, Usage{Metrics: metrics}}}}
			w.at = w.at.Add(time.Hour)
			r.To = w.at
			signed, fault := r.Sign(func(m []byte) []byte { return ed25519.Sign(keyOf("p1"), m) })
			if fault != nil {
				t.Fatal(fault)
			}
			_, err = w.ask(AsPeer("p1"), ReportUsage{signed})
		}
		if test.fault == "" && err != nil || test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.fault)
		}
		if got := w.Meter("p1"); got.Next != uint64(len(test.metrics)+1) {
			t.Errorf("%s: the next report is %d: one that is wrong must not hold up the rest", test.name, got.Next)
		}
	}
}
