package protocoltest

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"iter"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/slapmesh/slapmesh/protocol"
)

// The history of a Mesh is its payments: other things leave no trace.

// VerifyHistory implements [protocol.History].
func (c *caller) VerifyHistory(context.Context) iter.Seq2[protocol.Verification, error] {
	return func(yield func(protocol.Verification, error) bool) {
		c.mu.Lock()
		total := uint64(len(c.till.paid))
		c.mu.Unlock()
		v := protocol.Verification{Peer: "self", Total: total}
		if !yield(v, nil) {
			return
		}
		v.Done, v.Checked, v.Size, v.Proven = true, total, total, total
		yield(v, nil)
	}
}

// ExportHistory implements [protocol.History]. All formats are JSON here.
func (c *caller) ExportHistory(_ context.Context, in protocol.ExportInput) (io.ReadCloser, error) {
	if in.Format == protocol.FormatProof && !c.operator {
		return nil, protocol.Errorf(protocol.ErrForbidden, "export: only operators may have the proven form")
	}
	if !c.operator || in.Account != "" {
		account, err := c.payer(in.Account)
		if err != nil {
			return nil, err
		}
		in.Account = account
	}
	data, err := json.Marshal(c.payments(in.Account))
	if err != nil {
		return nil, err
	}
	return io.NopCloser(strings.NewReader(string(data) + "\n")), nil
}

// payments are those of an account, or all, by id.
func (c *caller) payments(account string) (out []protocol.PaymentInput) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(c.till.paid)) {
		if p := c.till.paid[id]; account == "" || p.From == account || p.To == account {
			out = append(out, p)
		}
	}
	return out
}

// HistoryEntry implements [protocol.History].
func (c *caller) HistoryEntry(_ context.Context, n uint64) (protocol.HistoryEntry, error) {
	all := c.payments("")
	if n >= uint64(len(all)) {
		return protocol.HistoryEntry{}, protocol.Errorf(protocol.ErrNotFound, "entry %d: history has %d", n, len(all))
	}
	p := all[n]
	if _, err := c.payer(p.To); err != nil {
		return protocol.HistoryEntry{}, err
	}
	return protocol.HistoryEntry{
		Entry: n, At: c.Now, Kind: "paid", Account: p.To, Size: uint64(len(all)), Signers: []string{"self"},
		Postings: []protocol.HistoryPosting{{Account: p.From, Amount: "-" + p.Sum}, {Account: p.To, Amount: p.Sum}},
	}, nil
}

// HistoryKeys implements [protocol.History].
func (c *caller) HistoryKeys(context.Context) (protocol.HistoryKeys, error) {
	return protocol.HistoryKeys{Origin: "slapmesh/test"}, nil
}

// Invoice implements [protocol.History]. There is but one period.
func (c *caller) Invoice(_ context.Context, in protocol.InvoiceInput) (protocol.Invoice, error) {
	account, err := c.payer(in.Account)
	if err != nil {
		return protocol.Invoice{}, err
	}
	out := protocol.Invoice{Account: account, Opening: "0.00", Paid: "0.00", Earned: "0.00"}
	sum := new(big.Rat)
	for n, p := range c.payments(account) {
		amount, other := number(p.Sum), p.From
		if cmp.Or(p.From, account) == account {
			amount, other = new(big.Rat).Neg(amount), p.To
		}
		sum.Add(sum, amount)
		out.Payments = append(out.Payments, protocol.InvoicePayment{
			Entry: uint64(n), At: c.Now, Kind: "paid", Amount: decimal(amount), Other: []string{other},
		})
	}
	out.Closing = decimal(sum)
	return out, nil
}
