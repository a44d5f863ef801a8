package daemon

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/book"
	"github.com/slapmesh/slapmesh/ledger/journal"
	"github.com/slapmesh/slapmesh/ledger/journal/invoice"
	"github.com/slapmesh/slapmesh/ledger/journal/plaintext"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/client"
)

// History is with the peers that hold the ledger: others pass a question on.

// historian finds a peer that has all of history; nil means this one.
func (s *service) historian(ctx context.Context, what string) (*client.Client, error) {
	from, to := s.journal.Missing()
	if s.holdsHistory() && from == to {
		return nil, nil //nolint:nilnil // this peer has it
	}
	if s.caller.remote {
		return nil, protocol.Errorf(protocol.ErrUnavailable, "%s: this peer does not have all of history: ask another one", what)
	}
	alive := s.compared()
	standing := s.books.Consensus(ctx)
	for _, peer := range slices.Concat(standing.Voters, standing.Standbys) {
		if slices.Contains(alive, peer) {
			return s.passOn(mesh.PeerID(peer))
		}
	}
	return nil, protocol.Errorf(protocol.ErrUnavailable, "%s: no peer that holds the ledger can be reached: try again when the mesh is whole", what)
}

// entries gives the entries that q asks for, up to a number.
func (d *Daemon) entries(ctx context.Context, q journal.Query, end uint64) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for more := true; more; {
			more = false
			for e, err := range d.journal.Entries(q) {
				if err = errors.Join(err, ctx.Err()); err != nil {
					yield(journal.Entry{}, err)
					return
				}
				if e.N >= end || !yield(e, nil) {
					return
				}
				q.From, more = e.N+1, true
			}
		}
	}
}

// VerifyHistory implements [protocol.History].
func (s *service) VerifyHistory(ctx context.Context) iter.Seq2[protocol.Verification, error] {
	return func(yield func(protocol.Verification, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		out := protocol.Verification{Peer: string(s.mesh.Self())}
		err := s.verify(ctx, &out, func() {
			if ctx.Err() == nil && !yield(out, nil) {
				cancel()
			}
		})
		switch {
		case ctx.Err() != nil:
		case err != nil:
			yield(out, err)
		default:
			out.Done = true
			yield(out, nil)
		}
	}
}

func (s *service) verify(ctx context.Context, out *protocol.Verification, tell func()) error {
	v := s.books.View()
	if _, err := s.who(v); err != nil {
		return err
	}
	trust, err := trustOf(v, true)
	if err != nil {
		return protocol.Errorf(protocol.ErrUnavailable, "verify: %v", err)
	}
	if !s.verifying.TryLock() {
		return protocol.Errorf(protocol.ErrUnavailable, "verify: this peer is verifying already: try again when it is done")
	}
	defer s.verifying.Unlock()
	found, err := s.journal.Verify(ctx, journal.VerifyOptions{Trust: &trust, Progress: func(done, total uint64) {
		out.Checked, out.Total = done, total
		tell()
	}})
	if err != nil {
		return protocol.Errorf(protocol.ErrConflict, "%v", err) // it is what was found, and to be told
	}
	out.Size, out.Root = found.Size, base64.StdEncoding.EncodeToString(found.Root[:])
	out.MissingFrom, out.MissingTo, out.Checkpoints, out.Ahead = found.From, found.To, found.Checkpoints, found.Ahead
	if err := s.verifyKept(ctx, out); err != nil {
		return err
	}
	evidence, err := s.journal.Evidence()
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	for _, e := range evidence {
		out.Conflicts = append(out.Conflicts, e.Error())
	}
	if !s.holdsHistory() || found.From != found.To {
		return nil
	}
	return s.verifyBalances(ctx, v, out)
}

// verifyKept says how much the checkpoints that this peer ever saw vouch for. Of
// those that are ahead of its entries it asks for proofs that each continues
// the one before.
func (s *service) verifyKept(ctx context.Context, out *protocol.Verification) error {
	kept, err := s.journal.Checkpoints()
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	for n, k := range kept {
		if k.Checkpoint.Size <= out.Size {
			out.Proven = max(out.Proven, k.Checkpoint.Size)
			continue
		}
		if n == 0 {
			continue
		}
		old := kept[n-1].Checkpoint
		proof, err := s.history.Prove(ctx, old.Size, k.Checkpoint.Size)
		if err != nil {
			return protocol.Errorf(protocol.ErrUnavailable, "verify: %v", err)
		}
		if err := journal.VerifyConsistency(proof, old.Size, old.Root, k.Checkpoint.Size, k.Checkpoint.Root); err != nil {
			return protocol.Errorf(protocol.ErrConflict, "checkpoint %d does not continue checkpoint %d: %v", k.Checkpoint.Size, old.Size, err)
		}
		out.Checkpoints++
	}
	return nil
}

// verifyBalances compares what the entries add up to with what the ledger says.
func (s *service) verifyBalances(ctx context.Context, v *ledger.State, out *protocol.Verification) error {
	sums := make(map[ledger.AccountName]book.Amount)
	for e, err := range s.entries(ctx, journal.Query{}, v.Counters().Facts) {
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		for _, p := range e.Postings {
			sums[ledger.AccountName(p.Account)] += book.Amount(p.Amount)
		}
	}
	for w := range v.Wallets() {
		if sum := sums[w.Account]; sum != w.Balance {
			return protocol.Errorf(protocol.ErrConflict, "the entries of %s add up to %s, and its balance is %s", w.Account, sum, w.Balance)
		}
		delete(sums, w.Account)
		out.Balances++
	}
	for account, sum := range sums {
		if sum != 0 {
			return protocol.Errorf(protocol.ErrConflict, "the entries of %s add up to %s, and the ledger knows nothing of it", account, sum)
		}
	}
	return nil
}

// ExportHistory implements [protocol.History].
func (s *service) ExportHistory(ctx context.Context, in protocol.ExportInput) (io.ReadCloser, error) {
	v := s.books.View()
	who, err := s.who(v)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Format == protocol.FormatProof && !who.Operator:
		return nil, protocol.Errorf(protocol.ErrForbidden, "export: the proven form shows what everybody paid: only operators may have it; the other formats show what is yours")
	case in.Format == protocol.FormatProof && (in.Account != "" || !in.From.IsZero() || !in.Until.IsZero()):
		return nil, protocol.Errorf(protocol.ErrInvalid, "export: the proven form is of all entries: choose another format for an account or a period")
	case in.Account != "" || !who.Operator:
		account, err := s.account(v, in.Account, ledger.RightRead)
		if err != nil {
			return nil, err
		}
		in.Account = string(account)
	}
	keeper, err := s.historian(ctx, "export")
	if err != nil {
		return nil, err
	}
	if keeper != nil {
		out, err := keeper.ExportHistory(ctx, in)
		if err != nil {
			return nil, errors.Join(err, keeper.Close())
		}
		return closeBoth{out, keeper}, nil
	}
	out, w := io.Pipe()
	go func() { w.CloseWithError(s.export(ctx, v, in, w)) }()
	return out, nil
}

func (s *service) export(ctx context.Context, v *ledger.State, in protocol.ExportInput, w io.Writer) error {
	if in.Format == protocol.FormatProof {
		return s.journal.Export(ctx, w, 0, s.journal.Size())
	}
	format, err := plaintext.ParseFormat(in.Format)
	if err != nil {
		return protocol.Errorf(protocol.ErrInvalid, "export: %v", err)
	}
	m, _ := v.Mesh()
	options := plaintext.Options{Mesh: m.Name, Account: in.Account, From: in.From, Until: in.Until}
	if in.Until.IsZero() {
		options.Balances = make(map[string]journal.Amount)
		for w := range v.Wallets() {
			if in.Account == "" || in.Account == string(w.Account) {
				options.Balances[string(w.Account)] = journal.Amount(w.Balance)
			}
		}
	}
	return plaintext.Write(w, format, s.entries(ctx, journal.Query{Account: in.Account}, v.Counters().Facts), options)
}

// HistoryKeys implements [protocol.History].
func (s *service) HistoryKeys(context.Context) (protocol.HistoryKeys, error) {
	v := s.books.View()
	if _, err := s.who(v); err != nil {
		return protocol.HistoryKeys{}, err
	}
	m, _ := v.Mesh()
	out := protocol.HistoryKeys{Origin: originOf(m)}
	for p := range v.Peers() {
		if p.Seat == 0 {
			continue
		}
		key, err := note.NewEd25519VerifierKey(string(p.ID), p.PublicKey)
		if err != nil {
			return protocol.HistoryKeys{}, fmt.Errorf("key of peer %s: %w", p.ID, err)
		}
		out.Keys = append(out.Keys, key)
	}
	return out, nil
}

// Invoice implements [protocol.History].
func (s *service) Invoice(ctx context.Context, in protocol.InvoiceInput) (protocol.Invoice, error) {
	v := s.books.View()
	account, err := s.account(v, in.Account, ledger.RightRead)
	if err != nil {
		return protocol.Invoice{}, err
	}
	if !in.From.IsZero() && !in.Until.IsZero() && !in.From.Before(in.Until) {
		return protocol.Invoice{}, protocol.Errorf(protocol.ErrInvalid, "invoice: it ends at %s, before it begins", in.Until.Format(time.RFC3339))
	}
	in.Account = string(account)
	keeper, err := s.historian(ctx, "invoice")
	if err != nil {
		return protocol.Invoice{}, err
	}
	if keeper != nil {
		defer func() { _ = keeper.Close() }()
		return keeper.Invoice(ctx, in)
	}
	drawn, err := invoice.Draw(in.Account, in.From, in.Until, s.entries(ctx, journal.Query{Account: in.Account}, v.Counters().Facts))
	if errors.Is(err, invoice.ErrTooLong) {
		return protocol.Invoice{}, protocol.Errorf(protocol.ErrInvalid, "%v", err)
	}
	if err != nil {
		return protocol.Invoice{}, err
	}
	return wireInvoice(v, drawn, in.Tree)
}

func wireInvoice(v *ledger.State, drawn invoice.Invoice, tree string) (protocol.Invoice, error) {
	out := protocol.Invoice{
		Account: drawn.Account, Opening: sumOf(drawn.Opening), Closing: sumOf(drawn.Closing),
		Paid: sumOf(drawn.Paid), Earned: sumOf(drawn.Earned),
	}
	if !drawn.From.IsZero() {
		out.From = &drawn.From
	}
	if !drawn.Until.IsZero() {
		out.Until = &drawn.Until
	}
	var paid, earned journal.Amount
	for _, l := range drawn.Lines {
		i, _ := v.Instance(ledger.InstanceID(l.Instance))
		root, _ := v.Instance(i.Root) // none if nobody but a person requested it
		if tree != "" && string(i.Reference) != tree && string(root.Reference) != tree {
			continue
		}
		if l.Payer == drawn.Account {
			paid += l.Amount
		} else {
			earned += l.Amount
		}
		out.Lines = append(out.Lines, protocol.InvoiceLine{
			Instance: ledger.InstanceID(l.Instance).String(), Reference: string(i.Reference), Tree: string(root.Reference), Release: i.ReleaseName,
			Computer: computerName(v, l.Computer), Payer: l.Payer, First: l.First, Last: l.Last, Used: l.Used, Amount: sumOf(l.Amount),
		})
	}
	if tree != "" {
		if len(out.Lines) == 0 {
			return out, protocol.Errorf(protocol.ErrNotFound, "invoice: nothing was billed for a tree %s in this period", tree)
		}
		out.Paid, out.Earned = sumOf(paid), sumOf(earned)
		return out, nil
	}
	for _, p := range drawn.Payments {
		payment := protocol.InvoicePayment{Entry: p.N, At: p.At, Kind: p.Kind, Amount: sumOf(p.Amount)}
		for _, o := range p.Others {
			payment.Other = append(payment.Other, o.Account)
		}
		out.Payments = append(out.Payments, payment)
	}
	return out, nil
}

func sumOf(a journal.Amount) string { return book.Amount(a).String() }

// computerName is what people call a computer.
func computerName(v *ledger.State, id string) string {
	c, _ := v.Computer(ledger.ComputerID(id))
	if c.Name != "" {
		return c.Name
	}
	return id
}
