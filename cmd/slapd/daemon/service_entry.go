package daemon

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/journal"
	"github.com/slapmesh/slapmesh/protocol"
)

// HistoryEntry implements [protocol.History]. Wherever the entry is from, this
// peer checks the proof, and that the checkpoint continues all that it ever
// saw.
func (s *service) HistoryEntry(ctx context.Context, n uint64) (protocol.HistoryEntry, error) {
	v := s.books.View()
	if _, err := s.who(v); err != nil {
		return protocol.HistoryEntry{}, err
	}
	keeper, err := s.historian(ctx, fmt.Sprintf("entry %d", n))
	if err != nil {
		return protocol.HistoryEntry{}, err
	}
	if keeper == nil {
		return s.provenEntry(ctx, v, n)
	}
	defer func() { _ = keeper.Close() }()
	out, err := keeper.HistoryEntry(ctx, n)
	if err != nil {
		return out, err
	}
	if err := s.checkEntry(ctx, v, out); err != nil {
		return protocol.HistoryEntry{}, protocol.Errorf(protocol.ErrConflict, "entry %d: what another peer tells of it does not hold: %v", n, err)
	}
	return out, nil
}

// provenEntry returns an entry of this peer's journal, if the caller may see
// it, under the newest checkpoint.
func (s *service) provenEntry(ctx context.Context, v *ledger.State, n uint64) (out protocol.HistoryEntry, err error) {
	if size := s.journal.Size(); n >= size {
		return out, protocol.Errorf(protocol.ErrNotFound, "entry %d: history has %d entries, numbered from 0", n, size)
	}
	e, err := s.journal.Entry(n)
	if err != nil {
		return out, fmt.Errorf("entry %d: %w", n, err)
	}
	if err := s.maySee(v, e); err != nil {
		return out, err
	}
	kept, err := s.checkpointOver(ctx, n)
	if err != nil {
		return out, err
	}
	trust, err := trustOf(v, true)
	if err != nil {
		return out, err
	}
	signed, err := trust.Open(kept.Text)
	if err != nil {
		return out, fmt.Errorf("entry %d: %w", n, err)
	}
	leaf, err := e.Leaf()
	if err != nil {
		return out, err
	}
	proof, err := s.journal.ProveInclusion(n, signed.Size)
	if err != nil {
		return out, fmt.Errorf("entry %d: %w", n, err)
	}
	return wireEntry(e, leaf, proof, signed), nil
}

// maySee refuses entries that do not concern an account of the caller.
func (s *service) maySee(v *ledger.State, e journal.Entry) error {
	who, err := s.who(v)
	if err != nil {
		return err
	}
	c, _ := v.Computer(ledger.ComputerID(e.Computer))
	concerned := []ledger.AccountName{ledger.AccountName(e.Account), c.Account}
	for _, p := range e.Postings {
		concerned = append(concerned, ledger.AccountName(p.Account))
	}
	for _, account := range concerned {
		if s.may(v, account, ledger.RightRead) {
			return nil
		}
	}
	if who.Operator || e.Account == "" && len(e.Postings) == 0 { // the latter concerns everybody
		return nil
	}
	return protocol.Errorf(protocol.ErrForbidden, "entry %d: it concerns no account of yours", e.N)
}

// checkpointOver returns the newest checkpoint that vouches for an entry. It
// signs one if there is none yet.
func (s *service) checkpointOver(ctx context.Context, n uint64) (journal.Kept, error) {
	for _, sign := range []bool{false, true} {
		if sign {
			if err := s.history.Sign(ctx); err != nil {
				return journal.Kept{}, fmt.Errorf("entry %d: %w", n, err)
			}
		}
		kept, err := s.journal.Checkpoints()
		if err != nil {
			return journal.Kept{}, fmt.Errorf("entry %d: %w", n, err)
		}
		for _, k := range slices.Backward(kept) {
			if size := k.Checkpoint.Size; n < size && size <= s.journal.Size() {
				return k, nil
			}
		}
	}
	return journal.Kept{}, protocol.Errorf(protocol.ErrUnavailable, "entry %d: no checkpoint vouches for it yet: ask again", n)
}

// checkEntry checks an entry that another peer told of.
func (s *service) checkEntry(ctx context.Context, v *ledger.State, e protocol.HistoryEntry) error {
	trust, err := trustOf(v, true)
	if err != nil {
		return err
	}
	signed, err := trust.Open([]byte(e.Checkpoint))
	if err != nil {
		return err
	}
	leaf, err := base64.StdEncoding.DecodeString(e.Leaf)
	if err != nil {
		return err
	}
	proof := make([]journal.Hash, len(e.Proof))
	for n, text := range e.Proof {
		h, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(h) != len(proof[n]) {
			return errors.New("the proof is not one of hashes")
		}
		copy(proof[n][:], h)
	}
	if err := journal.VerifyInclusion(proof, signed.Size, signed.Root, e.Entry, leaf); err != nil {
		return err
	}
	parsed, err := journal.ParseLeaf(leaf)
	if err != nil {
		return err
	}
	if again := wireEntry(parsed, leaf, proof, signed); fmt.Sprint(again.Filled()) != fmt.Sprint(e.Filled()) {
		return errors.New("it is not what its proven form says")
	}
	return s.journal.Keep(signed, func(old, size uint64) ([]journal.Hash, error) { return s.history.Prove(ctx, old, size) })
}

func wireEntry(e journal.Entry, leaf []byte, proof []journal.Hash, signed journal.Signed) protocol.HistoryEntry {
	out := protocol.HistoryEntry{
		Entry: e.N, Index: e.Index, At: e.At.Time(), Kind: e.Kind, Principal: e.Principal, Account: e.Account, Computer: e.Computer,
		Used: make(map[string]uint64), Leaf: base64.StdEncoding.EncodeToString(leaf),
		Checkpoint: string(signed.Text()), Size: signed.Size, Signers: signed.Signers(),
	}
	if e.Instance != 0 {
		out.Instance = ledger.InstanceID(e.Instance).String()
	}
	for _, p := range e.Postings {
		out.Postings = append(out.Postings, protocol.HistoryPosting{Account: p.Account, Amount: sumOf(p.Amount)})
	}
	for _, q := range e.Used {
		out.Used[q.Unit] = q.Amount
	}
	for _, h := range proof {
		out.Proof = append(out.Proof, base64.StdEncoding.EncodeToString(h[:]))
	}
	return out
}
