package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

func TestTerms(t *testing.T) {
	for _, test := range []struct {
		in   protocol.Terms
		want string // as they are shown, or the error
	}{
		{protocol.Terms{}, "0.00% 24h 1h"},
		{protocol.Terms{Fee: "2.5", Grace: "90m", Reserve: "24h"}, "2.50% 1h30m 24h"},
		{protocol.Terms{Fee: "100", Grace: "1h0m5s", Reserve: "10s"}, "100.00% 1h0m5s 10s"},
		{protocol.Terms{Fee: "100.0001"}, `fee "100.0001": 0 to 100 percent with at most four decimals expected`},
		{protocol.Terms{Fee: "0.00001"}, `fee "0.00001": 0 to 100 percent with at most four decimals expected`},
		{protocol.Terms{Fee: "-1"}, `fee "-1": 0 to 100 percent with at most four decimals expected`},
		{protocol.Terms{Grace: "1 day"}, `grace "1 day": a duration such as 24h expected`},
		{protocol.Terms{Reserve: "-1h"}, `reserve "-1h": a duration such as 24h expected`},
	} {
		terms, err := termsOf(test.in)
		if terms.Grace == 0 {
			terms.Grace = 24 * time.Hour
		}
		if terms.Reserve == 0 {
			terms.Reserve = time.Hour
		}
		shown := wireTerms(terms)
		got := shown.Fee + "% " + shown.Grace + " " + shown.Reserve
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%+v: got %s, want %s", test.in, got, test.want)
		}
	}
}

func TestRates(t *testing.T) {
	in := protocol.Rates{Core: "0.02", Network: "0.000000000001", Metrics: map[string]string{"rows": "1"}}
	rates, err := ratesOf(in)
	if err != nil {
		t.Fatal(err)
	}
	out := wireRates(rates)
	if out.Core != "0.02" || out.Network != in.Network || out.Memory != "0.00" || out.Metrics["rows"] != "1.00" {
		t.Errorf("%+v became %+v", in, out)
	}
	for _, wrong := range []protocol.Rates{{Core: "x"}, {Disk: "1e3"}, {Request: "0.0000000000001"}, {Metrics: map[string]string{"rows": ""}}} {
		if _, err := ratesOf(wrong); err == nil {
			t.Errorf("%+v are rates", wrong)
		}
	}
}

func TestMemoryTotal(t *testing.T) {
	for text, want := range map[string]int64{
		"MemTotal:       24584676 kB\nMemFree: 1 kB\n": 24584676 << 10,
		"MemFree: 1 kB\n":   0,
		"MemTotal: much\n":  0,
		"MemTotal: -1 kB\n": 0,
	} {
		if got := memoryTotal(strings.NewReader(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	if c := capacityOf(t.TempDir()); c.cores < 1000 || c.memory < 1<<20 || c.disk < 1<<20 {
		t.Errorf("this computer has %+v", c)
	}
}
