package client_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/protocoltest"
)

// TestHistory runs every call about history through client, socket and server.
func TestHistory(t *testing.T) {
	mesh := protocoltest.New()
	ann, bob := serve(t, mesh.As("ann", true)), serve(t, mesh.As("bob", false))
	ctx := t.Context()
	if _, err := ann.Pay(ctx, protocol.PaymentInput{ID: "1", From: protocol.MintAccount, To: "bob", Sum: "2"}); err != nil {
		t.Fatal(err)
	}
	var seen []protocol.Verification
	for v, err := range ann.VerifyHistory(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, v)
	}
	if len(seen) != 2 || seen[0].Done || !seen[1].Done || seen[1].Size != 1 {
		t.Errorf("verified %+v", seen)
	}
	for _, err := range ann.VerifyHistory(ctx) {
		if err != nil {
			t.Error(err)
		}
		break // who has seen enough leaves
	}
	for _, test := range []struct {
		name string
		in   protocol.ExportInput
		code protocol.Code
	}{
		{"own", protocol.ExportInput{Format: protocol.FormatJSON, From: mesh.Now, Until: mesh.Now.Add(time.Hour)}, ""},
		{"proof", protocol.ExportInput{Format: protocol.FormatProof}, protocol.ErrForbidden},
		{"another's", protocol.ExportInput{Format: protocol.FormatJSON, Account: "ann"}, protocol.ErrForbidden},
		{"no format", protocol.ExportInput{}, protocol.ErrInvalid},
		{"strange format", protocol.ExportInput{Format: "a&format=json"}, protocol.ErrInvalid},
	} {
		out, err := bob.ExportHistory(ctx, test.in)
		if protocol.CodeOf(err) != test.code || test.code == "" && err != nil {
			t.Errorf("%s: %v, want %q", test.name, err, test.code)
		}
		if err != nil {
			continue
		}
		if data, err := io.ReadAll(out); err != nil || !strings.Contains(string(data), `"to":"bob"`) {
			t.Errorf("%s: %s, %v", test.name, data, err)
		}
		_ = out.Close()
	}
	if keys, err := bob.HistoryKeys(ctx); err != nil || keys.Origin == "" || keys.Keys == nil {
		t.Errorf("keys %+v, %v", keys, err)
	}
	v, err := bob.Invoice(ctx, protocol.InvoiceInput{From: mesh.Now, Until: mesh.Now.Add(time.Hour), Tree: "x"})
	if err != nil || v.Closing != "2.00" || len(v.Payments) != 1 || v.Lines == nil {
		t.Errorf("invoice %+v, %v", v, err)
	}
}
