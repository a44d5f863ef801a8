package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// Who does not know whether it was paid is told how to ask again; who was
// refused is not.
func TestUnpaid(t *testing.T) {
	in := protocol.PaymentInput{ID: "x 1", From: "@mint", To: "bob", Sum: "2.50"}
	const again = "; to ask again without paying twice, type: slapd pay bob 2.50 --id 'x 1' --from @mint\n"
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		name        string
		interrupted bool
		err         error
		want        string
	}{
		{"lost on its way", false, protocol.Errorf(protocol.ErrUnavailable, "the leader changed, so it may or may not have been decided"), "slapd pay: the leader changed, so it may or may not have been decided" + again},
		{"a fault of the peer", false, errors.New("slapd: internal error"), "slapd pay: slapd: internal error" + again},
		{"interrupted", true, fmt.Errorf("ask slapd: %w", context.Canceled), "slapd pay: interrupted" + again},
		{"refused", false, protocol.Errorf(protocol.ErrPayment, "pay: account ann has 1.00 to spend"), "slapd pay: account ann has 1.00 to spend\n"},
		{"refused as it was interrupted", true, protocol.Errorf(protocol.ErrConflict, "pay: id was used"), "slapd pay: id was used\n"},
	} {
		ctx := t.Context()
		if tc.interrupted {
			ctx = interrupted
		}
		var out bytes.Buffer
		l, err := arrange([]string{"pay", "bob", "2.50"})
		if err != nil {
			t.Fatal(err)
		}
		if code := conclude(ctx, &Config{Err: &out}, l, unpaid(ctx, in, tc.err)); code != exitFailed || out.String() != tc.want {
			t.Errorf("%s: %d %q, want %q", tc.name, code, &out, tc.want)
		}
	}
}

func TestQuoted(t *testing.T) {
	for word, want := range map[string]string{
		"bob": "bob", "@mint": "@mint", "12.50": "12.50", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$(rm)": "'$(rm)'", "é": "'é'", "a\nb": "'a\nb'",
	} {
		if got := quoted(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"24h": 24 * time.Hour, "90m": 90 * time.Minute, "7d": 7 * 24 * time.Hour, "0.5d": 12 * time.Hour, "0": 0,
	} {
		if got, err := duration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "7", "7 d", "7d1h", "week", "999999d", "1e9d", strings.Repeat("9", 40) + "d"} {
		if got, err := duration(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
