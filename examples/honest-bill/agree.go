package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/book"
	"github.com/slapmesh/slapmesh/ledger/journal"
	"github.com/slapmesh/slapmesh/ledger/journal/invoice"
	"github.com/slapmesh/slapmesh/ledger/journal/plaintext"
)

// agree compares what the ledger says with what everybody else can compute.
func (m *mesh) agree(dir string) error {
	if err := m.statements(); err != nil {
		return err
	}
	if err := m.invoice(); err != nil {
		return err
	}
	if err := m.proof(); err != nil {
		return err
	}
	return m.hledger(dir)
}

// statements prints what everybody has: the sum of all is zero.
func (m *mesh) statements() error {
	say("what everybody has")
	total := book.Amount(0)
	for w := range m.view().Wallets() {
		tell("   %-8s %14s\n", w.Account, w.Balance)
		if total += w.Balance; w.Reserved != 0 {
			return fmt.Errorf("%s is still set aside for %s", w.Reserved, w.Account)
		}
	}
	if total != 0 {
		return fmt.Errorf("the sum of all accounts is %s", total)
	}
	return nil
}

// invoice adds up dora's day from history, and compares it with her bills.
func (m *mesh) invoice() error {
	v, err := invoice.Draw("dora", time.Time{}, time.Time{}, m.journal.Entries(journal.Query{Account: "dora"}))
	if err != nil {
		return err
	}
	say("dora's invoice")
	billed := book.Amount(0)
	for _, l := range v.Lines {
		i, _ := m.view().Instance(ledger.InstanceID(l.Instance))
		c, _ := m.view().Charge(i.ID)
		tell("   %-5s on %-5s %5.2f core hours %5.2f partition hours %12s\n", i.Reference, l.Computer,
			time.Duration(l.Used["core-nanoseconds"]).Hours(), time.Duration(l.Used["partition-nanoseconds"]).Hours(), book.Amount(l.Amount))
		if billed += c.Total(); book.Amount(l.Amount) != c.Total() {
			return fmt.Errorf("%s: the invoice says %s, the bill %s", i.Reference, book.Amount(l.Amount), c.Total())
		}
	}
	tell("   %-33s %25s\n", "together", book.Amount(v.Paid))
	if balance := m.view().Wallet("dora").Balance; book.Amount(v.Closing) != balance || book.Amount(v.Paid) != billed {
		return fmt.Errorf("the invoice ends with %d and pays %d, the ledger says %s and %s", v.Closing, v.Paid, balance, billed)
	}
	return nil
}

// proof verifies history on its own disk, and elsewhere from an export.
func (m *mesh) proof() error {
	ctx := context.Background() //nolint:forbidigo // this is main
	key := ed25519.NewKeyFromSeed(sum("the council signs"))
	public := key.Public().(ed25519.PublicKey) //nolint:forcetypeassert // it is one
	signer, err := journal.NewSigner("council", public, func(message []byte) []byte { return ed25519.Sign(key, message) })
	if err != nil {
		return err
	}
	verifier, err := journal.NewVerifier("council", public)
	if err != nil {
		return err
	}
	head := m.journal.Frontier()
	signed, err := journal.Sign(journal.Checkpoint{Origin: "village", Size: head.Size, Root: head.Root()}, signer)
	if err != nil {
		return err
	}
	if err := m.journal.Keep(signed, nil); err != nil {
		return err
	}
	trust := journal.Trust{Origin: "village", Verifiers: note.VerifierList(verifier)}
	found, err := m.journal.Verify(ctx, journal.VerifyOptions{Trust: &trust})
	if err != nil {
		return err
	}
	var export bytes.Buffer
	if err := m.journal.Export(ctx, &export, 0, head.Size); err != nil {
		return err
	}
	report, err := journal.VerifyExport(bytes.NewReader(export.Bytes()), trust, nil)
	if err != nil {
		return err
	}
	say(fmt.Sprintf("history: %d entries, %d of them under a signed checkpoint, on disk and in %d kB of export", found.Size, report.Proven, export.Len()/1000))
	changed := export.Bytes()
	changed[len(changed)/2] ^= 1
	_, err = journal.VerifyExport(bytes.NewReader(changed), trust, nil)
	tell("   a changed byte is found: %v\n", err)
	if err == nil {
		return errors.New("a changed byte was not found")
	}
	return nil
}

// hledger has another program, of other people, compute all balances.
func (m *mesh) hledger(dir string) error {
	name := filepath.Join(dir, "village.journal")
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	err = plaintext.Write(f, plaintext.Ledger, m.journal.Entries(journal.Query{}), plaintext.Options{Mesh: "village"})
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	out, err := exec.Command("hledger", "-f", name, "balance", "-O", "csv", "--no-elide").Output() //nolint:noctx // it is over in a moment
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("hledger is not installed: apt-get install hledger")
	}
	if err != nil {
		return fmt.Errorf("hledger: %w", err)
	}
	rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
	if err != nil {
		return fmt.Errorf("hledger: %w", err)
	}
	balances := make(map[string]string)
	for _, row := range rows {
		balances[row[0]] = strings.TrimSuffix(row[1], " CREDIT")
	}
	for w := range m.view().Wallets() {
		said := balances[plaintext.Ledger.Account(string(w.Account))]
		theirs, err := book.ParseAmount(strings.TrimPrefix(said, "-"))
		if strings.HasPrefix(said, "-") {
			theirs = -theirs
		}
		if said == "" && w.Balance == 0 {
			continue
		}
		if err != nil || theirs != w.Balance {
			return fmt.Errorf("hledger says that %s has %q, the ledger says %s", w.Account, said, w.Balance)
		}
	}
	say("hledger computes the same balances, to the millionth of a credit")
	return nil
}
