package client_test

import (
	"errors"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/protocoltest"
)

// TestMoney runs every call about money through client, socket and server.
func TestMoney(t *testing.T) {
	mesh := protocoltest.New()
	c := serve(t, mesh.As("ann", true))
	ctx := t.Context()
	limit := "5"
	later := mesh.Now.Add(time.Hour)

	for _, tc := range []struct {
		name string
		call func() error
		code protocol.Code
	}{
		{"price", func() error {
			v, err := c.SetPrice(ctx, protocol.PriceInput{Account: "operator", Rates: protocol.Rates{Request: "0.50", Metrics: map[string]string{"mails": "0.1"}}})
			return same(err, v.Rates.Request+v.Rates.Metrics["mails"], "0.500.1")
		}, ""},
		{"later price", func() error {
			v, err := c.SetPrice(ctx, protocol.PriceInput{Account: "operator", From: later, Rates: protocol.Rates{Request: "1"}})
			if err == nil && (len(v.Next) != 1 || !v.Next[0].From.Equal(later) || v.From.IsZero()) {
				err = errors.New("not later")
			}
			return err
		}, ""},
		{"past price", func() error {
			_, err := c.SetPrice(ctx, protocol.PriceInput{From: mesh.Now.Add(-time.Hour)})
			return err
		}, protocol.ErrInvalid},
		{"negative price", func() error {
			_, err := c.SetPrice(ctx, protocol.PriceInput{Rates: protocol.Rates{Core: "-1"}})
			return err
		}, protocol.ErrInvalid},
		{"prices", func() error { v, err := c.Prices(ctx); return same(err, v[0].Account, "operator") }, ""},
		{"limit", func() error {
			v, err := c.SetLimit(ctx, protocol.LimitInput{Account: "ann", Limit: &limit})
			return same(err, v.Limit, "5.00")
		}, ""},
		{"limit of nobody", func() error { _, err := c.SetLimit(ctx, protocol.LimitInput{Account: "x"}); return err }, protocol.ErrNotFound},
		{"request", func() error {
			_, err := c.Request(ctx, protocol.RequestInput{Reference: "db1", Release: "mariadb"})
			return err
		}, ""},
		{"statement", func() error { v, err := c.Statement(ctx, ""); return same(err, v.Pays[0].Total, "0.50") }, ""},
		{"statement of an account", func() error {
			v, err := c.Statement(ctx, "operator")
			return same(err, v.Balance+v.Earns[0].Payer, "0.50ann")
		}, ""},
		{"statement of a strange name", func() error { _, err := c.Statement(ctx, "a&b=c ü"); return err }, protocol.ErrNotFound},
		{"no limit", func() error {
			v, err := c.SetLimit(ctx, protocol.LimitInput{Account: "ann"})
			if err == nil && v.Limited {
				err = errors.New("still limited")
			}
			return err
		}, ""},
		{"pay", func() error {
			v, err := c.Pay(ctx, protocol.PaymentInput{ID: "1", To: "operator", Sum: "1"})
			return same(err, v.Balance, "-1.50")
		}, ""},
		{"pay again", func() error {
			v, err := c.Pay(ctx, protocol.PaymentInput{ID: "1", To: "operator", Sum: "1"})
			return same(err, v.Balance, "-1.50")
		}, ""},
		{"pay another", func() error {
			_, err := c.Pay(ctx, protocol.PaymentInput{ID: "1", To: "operator", Sum: "2"})
			return err
		}, protocol.ErrConflict},
		{"pay nothing", func() error {
			_, err := c.Pay(ctx, protocol.PaymentInput{ID: "2", To: "operator", Sum: "0"})
			return err
		}, protocol.ErrInvalid},
		{"review", func() error {
			v, err := c.ReviewBill(ctx, protocol.ReviewInput{Reference: "db1", Verdict: "accepted"})
			return same(err, v.Verdict, "accepted")
		}, ""},
		{"review of nothing", func() error {
			_, err := c.ReviewBill(ctx, protocol.ReviewInput{Reference: "db9", Verdict: "accepted"})
			return err
		}, protocol.ErrNotFound},
		{"terms", func() error { v, err := c.SetTerms(ctx, protocol.Terms{Fee: "2.5"}); return same(err, v.Grace, "24h") }, ""},
		{"terms again", func() error { v, err := c.Terms(ctx); return same(err, v.Fee, "2.5") }, ""},
		{"terms of no kind", func() error { _, err := c.SetTerms(ctx, protocol.Terms{Fee: "half"}); return err }, protocol.ErrInvalid},
	} {
		err := tc.call()
		if (err == nil) != (tc.code == "") || protocol.CodeOf(err) != tc.code {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.code)
		}
	}
}
