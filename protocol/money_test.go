package protocol_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
)

func TestCheckMoney(t *testing.T) {
	many := map[string]string{}
	for i := range 17 {
		many[strings.Repeat("m", i+1)] = "1"
	}
	long := strings.Repeat("x", 2000)
	pay := func(text string) protocol.PaymentInput {
		return protocol.PaymentInput{ID: "1", To: "bob", Sum: text}
	}
	core := func(text string) protocol.PriceInput {
		return protocol.PriceInput{Rates: protocol.Rates{Core: text}}
	}
	for _, tc := range []struct {
		name string
		in   interface{ Check() error }
		want string // "" is accepted
	}{
		{"free", protocol.PriceInput{}, ""},
		{"a price", core("0.000000000001"), ""},
		{"a price of everything", protocol.PriceInput{Account: "ann", Release: "db", Rates: protocol.Rates{
			Core: "1", Memory: "2", Disk: "3.5", Network: "4.25", Partition: "1000000", Request: "0", Metrics: map[string]string{"mails": "0.1"},
		}}, ""},
		{"too fine a price", core("0.0000000000001"), "core_hour: \"0.0000000000001\": at most 12 decimals"},
		{"too high a price", core("10000000"), "at most 7 digits before the point"},
		{"a negative price", core("-1"), "a decimal number such as 12.50 expected"},
		{"a price with an exponent", core("1e3"), "a decimal number"},
		{"no digit before the point", core(".5"), "a decimal number"},
		{"no digit behind the point", core("5."), "a decimal number"},
		{"two points", core("1.2.3"), "a decimal number"},
		{"a comma", core("1,5"), "a decimal number"},
		{"digits of another script", core("٣"), "a decimal number"},
		{"price of a metric", protocol.PriceInput{Rates: protocol.Rates{Metrics: map[string]string{"mails": ""}}}, "metric mails: \"\": a decimal number"},
		{"a nameless metric", protocol.PriceInput{Rates: protocol.Rates{Metrics: map[string]string{"": "1"}}}, "metric is missing"},
		{"many metrics", protocol.PriceInput{Rates: protocol.Rates{Metrics: many}}, "17 metrics are more than 16"},
		{"release", protocol.PriceInput{Release: long}, "release \"xxxxxxxxxxxxxxxxxxxx\"… has 2000 bytes, more than 128"},
		{"account", protocol.PriceInput{Account: "a\x1b[2J"}, "do not print"},

		{"a payment", pay("12.50"), ""},
		{"the smallest payment", pay("0.000001"), ""},
		{"nothing", pay("0.000"), "more than nothing"},
		{"no sum", pay(""), "a decimal number"},
		{"too fine", pay("0.0000001"), "at most 6 decimals"},
		{"too much", pay("1000000000000"), "at most 12 digits"},
		{"no id", protocol.PaymentInput{To: "bob", Sum: "1"}, "id is missing"},
		{"to nobody", protocol.PaymentInput{ID: "1", Sum: "1"}, "to is missing"},
		{"note", protocol.PaymentInput{ID: "1", To: "bob", Sum: "1", Note: long}, "note has 2000 bytes"},
		{"note that steers", protocol.PaymentInput{ID: "1", To: "bob", Sum: "1", Note: "a\nb"}, "note has characters that do not print"},

		{"no limit", protocol.LimitInput{Account: "bob"}, ""},
		{"limit of nothing", protocol.LimitInput{Account: "bob", Limit: new("0")}, ""},
		{"limit of nobody", protocol.LimitInput{}, "account is missing"},
		{"a negative limit", protocol.LimitInput{Account: "bob", Limit: new("-5")}, "limit of bob: \"-5\": a decimal number"},

		{"a review", protocol.ReviewInput{Reference: "db1", Verdict: "disputed", Note: "down on Sunday"}, ""},
		{"verdict", protocol.ReviewInput{Reference: "db1", Verdict: "fine"}, "none of accepted, disputed"},
		{"review of nothing", protocol.ReviewInput{Verdict: "accepted"}, "reference is missing"},

		{"default terms", protocol.Terms{}, ""},
		{"terms", protocol.Terms{Fee: "100.0000", Grace: "24h0m0s", Reserve: "90m"}, ""},
		{"all and more", protocol.Terms{Fee: "100.01"}, "at most 100 percent"},
		{"twice all", protocol.Terms{Fee: "200"}, "at most 100 percent"},
		{"too fine a fee", protocol.Terms{Fee: "2.50001"}, "at most 4 decimals"},
		{"no grace", protocol.Terms{Grace: "0s"}, "grace: \"0s\": a duration such as 24h"},
		{"long grace", protocol.Terms{Grace: "8761h"}, "at most a year"},
		{"reserve", protocol.Terms{Reserve: "soon"}, "reserve: \"soon\": a duration"},
	} {
		err := tc.in.Check()
		if (err == nil) != (tc.want == "") || (err != nil && (!strings.Contains(err.Error(), tc.want) || !errors.Is(err, protocol.ErrInvalid))) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

// What passes as a decimal has no sign, no exponent and no more digits than
// were allowed.
func FuzzCheckDecimal(f *testing.F) {
	for _, seed := range []string{"0", "12.50", "-1", "1e3", ".", "1.", ".1", "0x1", "١", "1_000", "99999999999999999999.1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if protocol.CheckSum(text) != nil {
			return
		}
		whole, part, _ := strings.Cut(text, ".")
		if len(whole) == 0 || len(whole) > 12 || len(part) > protocol.SumDecimals || strings.Trim(text, "0123456789.") != "" {
			t.Errorf("%q passes", text)
		}
	})
}
