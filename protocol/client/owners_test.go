package client_test

import (
	"errors"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/protocoltest"
)

// TestQuote: a quote is what the request would be, and changes nothing.
func TestQuote(t *testing.T) {
	mesh := protocoltest.New()
	c := serve(t, mesh.As("ann", true))
	ctx := t.Context()
	if _, err := c.SetPrice(ctx, protocol.PriceInput{Account: "operator", Rates: protocol.Rates{Request: "0.50"}}); err != nil {
		t.Fatal(err)
	}
	in := protocol.RequestInput{Reference: "db1", Release: "mariadb", Needs: protocol.Needs{Millicores: 1000}}
	for range 2 {
		q, err := c.Quote(ctx, in)
		if err != nil || q.Exists || q.Computer != "peer1" || q.AtOnce != "0.50" || q.Needs != in.Needs || q.Others == nil {
			t.Errorf("quote: %+v, %v", q, err)
		}
	}
	if all, err := c.Instances(ctx, protocol.InstanceQuery{}); err != nil || len(all) != 0 {
		t.Errorf("after a quote: %+v, %v", all, err)
	}
	if s, err := c.Statement(ctx, ""); err != nil || s.Balance != "0.00" || len(s.Pays) != 0 {
		t.Errorf("after a quote: %+v, %v", s, err)
	}
	in.Needs.Millicores = 5000
	if _, err := c.Quote(ctx, in); protocol.CodeOf(err) != protocol.ErrExhausted {
		t.Errorf("too much: %v", err)
	}
	in.Needs.Millicores = -1
	if _, err := c.Quote(ctx, in); protocol.CodeOf(err) != protocol.ErrInvalid {
		t.Errorf("less than nothing: %v", err)
	}
}

// TestOwners runs every call about one's computers through client, socket and
// server.
func TestOwners(t *testing.T) {
	mesh := protocoltest.New()
	c, bob := serve(t, mesh.As("operator", true)), serve(t, mesh.As("bob", false))
	ctx := t.Context()
	for _, tc := range []struct {
		name string
		call func() error
		code protocol.Code
	}{
		{"set", func() error {
			v, err := c.SetComputer(ctx, protocol.ComputerInput{Scope: "public", Labels: map[string]string{"rack": "7", "country": ""}})
			return same(err, v.Scope+v.Labels["rack"]+v.Labels["country"], "public7")
		}, ""},
		{"reset", func() error {
			v, err := c.SetComputer(ctx, protocol.ComputerInput{Computer: "castle", Reset: true})
			return same(err, v.Labels["country"], "FR")
		}, ""},
		{"another scope", func() error {
			_, err := c.SetComputer(ctx, protocol.ComputerInput{Scope: "mine"})
			return err
		}, protocol.ErrInvalid},
		{"a label that does not print", func() error {
			_, err := c.SetComputer(ctx, protocol.ComputerInput{Labels: map[string]string{"a": "x\n"}})
			return err
		}, protocol.ErrInvalid},
		{"of another", func() error {
			_, err := bob.SetComputer(ctx, protocol.ComputerInput{Scope: "public"})
			return err
		}, protocol.ErrForbidden},
		{"unknown", func() error {
			_, err := c.DrainComputer(ctx, protocol.DrainInput{Computer: "cellar"})
			return err
		}, protocol.ErrNotFound},
		{"drain", func() error {
			v, err := c.DrainComputer(ctx, protocol.DrainInput{Drained: true})
			if err == nil && !v.Drained {
				err = errors.New("not drained")
			}
			return err
		}, ""},
		{"give to nobody", func() error {
			_, err := c.GiveComputer(ctx, protocol.GiveInput{Account: "nobody"})
			return err
		}, protocol.ErrNotFound},
		{"give", func() error {
			v, err := c.GiveComputer(ctx, protocol.GiveInput{Account: "bob"})
			return same(err, v.Owner, "bob")
		}, ""},
		{"retire", func() error {
			v, err := bob.RetireComputer(ctx, protocol.RetireInput{Computer: "peer1"})
			if err == nil && !v.Retired {
				err = errors.New("not retired")
			}
			return err
		}, ""},
	} {
		if err := tc.call(); protocol.CodeOf(err) != tc.code || tc.code == "" && err != nil {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.code)
		}
	}
}
