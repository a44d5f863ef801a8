package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/slapmesh/slapmesh/ledger/journal"
	"github.com/slapmesh/slapmesh/protocol"
)

// A fileVerification says what was checked of an export.
type fileVerification struct {
	Origin      string   `json:"origin"`
	From        uint64   `json:"from"`
	To          uint64   `json:"to"`
	Root        string   `json:"root"`
	Proven      uint64   `json:"proven"`
	Checkpoints int      `json:"checkpoints"`
	Signers     []string `json:"signers"`
	Accounts    int      `json:"accounts"`
}

// verifyFile checks an export. It asks nobody if there is a file of keys.
func (i *invocation) verifyFile(ctx context.Context, name string) error {
	keys, err := i.keys(ctx)
	if err != nil {
		return err
	}
	trust, err := trustIn(keys)
	if err != nil {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	line := &drawnLine{out: i.Err, terminal: i.Terminal}
	defer line.end()
	sums, total := make(map[string]journal.Amount), journal.Amount(0)
	report, err := journal.VerifyExport(f, trust, func(e journal.Entry) error {
		for _, p := range e.Postings {
			sums[p.Account] += p.Amount
			total += p.Amount
		}
		if e.N%100_000 == 0 {
			line.draw(fmt.Sprintf("checked %d entries", e.N))
		}
		return ctx.Err()
	})
	line.end()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if total != 0 {
		return fmt.Errorf("%s: the sum of all accounts is %d micro-credits, not zero", name, total)
	}
	out := fileVerification{
		Origin: keys.Origin, From: report.From, To: report.To, Root: report.Root.String(),
		Proven: report.Proven, Checkpoints: len(report.Checkpoints), Signers: []string{}, Accounts: len(sums),
	}
	seen := make(map[string]bool)
	for _, c := range report.Checkpoints {
		for _, who := range c.Signers() {
			if !seen[who] {
				seen[who] = true
				out.Signers = append(out.Signers, who)
			}
		}
	}
	return i.show(out, func(w io.Writer) {
		row(w, "history", out.Origin)
		row(w, "entries", fmt.Sprintf("%d to %d", out.From, out.To))
		row(w, "root", out.Root)
		row(w, "signed entries", fmt.Sprintf("%d, by %d of the peers that keep or kept it", out.Proven-out.From, len(out.Signers)))
		row(w, "accounts", fmt.Sprintf("%d, the sum of all is zero", out.Accounts))
	})
}

// keys reads those that are believed: from a file, or from the peer.
func (i *invocation) keys(ctx context.Context) (keys protocol.HistoryKeys, err error) {
	name := i.String("keys")
	if name == "" {
		service, err := i.service()
		if err != nil {
			return keys, err
		}
		if keys, err = service.HistoryKeys(ctx); err != nil {
			return keys, fmt.Errorf("%w; or give --keys FILE, which slapd ledger keys wrote", err)
		}
		return keys, nil
	}
	data, err := i.file(name)
	if err != nil {
		return keys, err
	}
	lines := strings.Fields(string(data))
	if len(lines) < 2 {
		return keys, protocol.Errorf(protocol.ErrInvalid, "--keys %s: the name of a history and at least one key wanted: slapd ledger keys writes them", name)
	}
	return protocol.HistoryKeys{Origin: lines[0], Keys: lines[1:]}, nil
}

func trustIn(keys protocol.HistoryKeys) (journal.Trust, error) {
	var known []note.Verifier
	for _, text := range keys.Keys {
		v, err := note.NewVerifier(text)
		if err != nil {
			return journal.Trust{}, protocol.Errorf(protocol.ErrInvalid, "key %.80q: not one that slapd ledger keys writes", text)
		}
		known = append(known, v)
	}
	return journal.Trust{Origin: keys.Origin, Verifiers: note.VerifierList(known...)}, nil
}
