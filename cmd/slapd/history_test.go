package main_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/ledger/book"
	"github.com/slapmesh/slapmesh/protocol"
)

// History is the same on every peer, proves itself, and agrees with what other
// people's accounting programs make of it, although the leader is killed while
// it is written.
func TestHistory(t *testing.T) {
	t.Parallel()
	downloaded(t, "memcached")
	w := newWorld(t, newNetwork(t))
	all := w.mesh("4", "a", "b", "c")
	a := all[0]
	token := a.token(protocol.TokenInput{Role: protocol.RoleComputer})
	member := w.start("d", "join", a.status.Listen, "--token", token, "--partitions", "1").up()
	a.token(protocol.TokenInput{Role: protocol.RoleUser, Account: "dora"})
	run := func(p *peer, line string) string {
		t.Helper()
		r := p.slapd(strings.Fields(line)...)
		if r.code != 0 {
			t.Fatalf("%s: %+v", line, r)
		}
		return r.out
	}
	run(a, "price set --partition-hour 36 --request 1.000001")
	run(a, "pay dora 100 --from @mint --id grant")
	for n := range 3 {
		a.ask(protocol.RequestInput{Reference: fmt.Sprint("cache", n), Account: "dora", Release: "memcached"})
	}
	a.settledAs(protocol.Ref{Reference: "cache0", Account: "dora"})
	a.kill()
	b := all[1]
	w.until("another peer leads", func() error {
		_, err := b.Pay(t.Context(), protocol.PaymentInput{ID: "tip", From: "dora", To: "operator", Sum: "0.000001"})
		return err
	})
	a = w.start("a", "run").up()

	for _, p := range []*peer{a, b, all[2]} {
		w.until("history verified on "+p.name, func() error {
			r := p.slapd("ledger", "verify", "--json")
			var v protocol.Verification
			if err := json.Unmarshal([]byte(r.out), &v); err != nil {
				return fmt.Errorf("%+v: %w", r, err)
			}
			if r.code != 0 || v.Size < 20 || v.MissingFrom != v.MissingTo || v.Balances < 3 || len(v.Conflicts) > 0 {
				return fmt.Errorf("%+v", r)
			}
			return nil
		})
	}
	if out := run(member, "ledger verify"); !strings.Contains(out, "signed checkpoints") {
		t.Error(out)
	}
	programsAgree(t, w, b)
	offline(t, w, b)

	var invoice protocol.Invoice
	if err := json.Unmarshal([]byte(run(b, "invoice --account dora --json")), &invoice); err != nil {
		t.Fatal(err)
	}
	paid := book.Amount(0)
	for _, l := range invoice.Lines {
		paid += amount(t, l.Amount)
	}
	if len(invoice.Lines) != 3 || paid != amount(t, invoice.Paid) || paid < 3*1_000_001 || len(invoice.Payments) != 2 {
		t.Errorf("%+v", invoice)
	}
	if r := member.slapd("ledger", "export", "--format", "proof"); r.code != 1 || !strings.Contains(r.complaint, "only operators") {
		t.Errorf("a member that is no operator has all of history: %+v", r)
	}
	if r := member.slapd("ledger", "entry", "0"); r.code != 0 || !strings.Contains(r.out, "proven") {
		t.Errorf("a member does not prove an entry: %+v", r)
	}
	if r := member.slapd("ledger", "entry", "9999999"); r.code != 1 || !strings.Contains(r.complaint, "history has") {
		t.Errorf("%+v", r)
	}
	if out := run(member, "ledger export --format csv"); !strings.Contains(out, "operator") {
		t.Errorf("a member does not have its own entries: %s", out)
	}
	for _, p := range []*peer{b, all[2], member, a} {
		for n := range 3 {
			if p == b {
				ref := protocol.Ref{Reference: fmt.Sprint("cache", n), Account: "dora"}
				if _, err := p.SetState(t.Context(), ref, protocol.RequestDestroyed); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// programsAgree has three accounting programs read history and compares what
// they compute with the statement, to the micro-credit.
func programsAgree(t *testing.T, w *world, p *peer) {
	t.Helper()
	folder := t.TempDir()
	export := func(format string) string {
		name := filepath.Join(folder, "mesh."+format)
		if r := p.slapd("ledger", "export", "--format", format, "--output", name); r.code != 0 {
			t.Fatalf("%+v", r)
		}
		return name
	}
	read := func(name string, args ...string) string {
		var complaint bytes.Buffer
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Stderr = &complaint
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %v: %v: %s", name, args, err, complaint.String())
		}
		return string(out)
	}
	// Billing goes on: the statement is compared with an export between two
	// equal ones.
	w.until("the programs agree with the statement", func() error {
		before, err := p.Statement(t.Context(), "dora")
		if err != nil {
			return err
		}
		journal := export("ledger")
		after, err := p.Statement(t.Context(), "dora")
		if err != nil {
			return err
		}
		if before.Balance != after.Balance {
			return fmt.Errorf("it was billed meanwhile")
		}
		rows, err := csv.NewReader(strings.NewReader(read("hledger", "-f", journal, "balance", "-O", "csv", "Assets:Wallets:dora"))).ReadAll()
		if err == nil && len(rows) < 2 {
			err = errors.New("no balance")
		}
		if err != nil {
			return fmt.Errorf("%d rows: %w", len(rows), err)
		}
		if got := amountIn(t, rows[1][1]); got != amount(t, before.Balance) {
			return fmt.Errorf("hledger says %s, the statement %s", got, before.Balance)
		}
		return nil
	})
	read("ledger", "--strict", "-f", export("ledger"), "balance")
	read("bean-check", export("beancount"))
	var entries []map[string]any
	data, err := os.ReadFile(export("json"))
	if err == nil {
		err = json.Unmarshal(data, &entries)
	}
	if err != nil || len(entries) < 20 {
		t.Errorf("%d entries as JSON, %v", len(entries), err)
	}
}

// amountIn reads the first number of what a program printed.
func amountIn(t *testing.T, text string) book.Amount {
	t.Helper()
	for word := range strings.FieldsSeq(text) {
		if a, err := book.ParseAmount(strings.TrimPrefix(strings.Trim(word, `"`), "-")); err == nil {
			if strings.Contains(word, "-") {
				return -a
			}
			return a
		}
	}
	t.Fatalf("no amount in %q", text)
	return 0
}

// offline checks an export where there is no mesh, and that a changed byte is
// found.
func offline(t *testing.T, w *world, p *peer) {
	t.Helper()
	folder := t.TempDir()
	proof, keys := filepath.Join(folder, "mesh.proof"), filepath.Join(folder, "mesh.keys")
	if r := p.slapd("ledger", "export", "--format", "proof", "-o", proof); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	if err := os.WriteFile(keys, []byte(p.slapd("ledger", "keys").out), 0o600); err != nil {
		t.Fatal(err)
	}
	verify := func() result { return w.slapd("ledger", "verify", proof, "--keys", keys) }
	if r := verify(); r.code != 0 || !strings.Contains(r.out, "the sum of all is zero") {
		t.Errorf("%+v", r)
	}
	data, err := os.ReadFile(proof)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, len(data) / 3, len(data) / 2, len(data) - 1} {
		changed := bytes.Clone(data)
		changed[at] ^= 1
		if err := os.WriteFile(proof, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if r := verify(); r.code != 1 {
			t.Errorf("byte %d was changed: %+v", at, r)
		}
	}
}
