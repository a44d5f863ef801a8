package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
	"github.com/slapmesh/slapmesh/protocol"
)

// What a real instance really uses is billed once, although the daemon is
// killed before it has told of all, and not a micro-credit goes astray.
func TestHonestBill(t *testing.T) {
	t.Parallel()
	downloaded(t, "redis")
	w := newWorld(t, newNetwork(t))
	a := w.mesh("2", "a")[0]
	a.token(protocol.TokenInput{Role: protocol.RoleUser, Account: "dora"})
	for _, line := range []string{
		"price set --core-hour 3600 --partition-hour 36 --request 1 --metric requests=0.001", // a credit for a second of a core
		"limit dora 0",
		"pay dora 10000 --from @mint --id grant",
		"pay dora 10000 --from @mint --id grant", // once all the same
	} {
		if r := a.slapd(strings.Fields(line)...); r.code != 0 {
			t.Fatalf("%s: %+v", line, r)
		}
	}

	db := protocol.Ref{Reference: "db", Account: "dora"}
	a.ask(protocol.RequestInput{Reference: db.Reference, Account: db.Account, Release: "redis"})
	a.settledAs(db)
	i, err := a.Instance(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	pings := []string{"sh", "-c", `REDISCLI_AUTH="$0" redis-cli -e -h "${1%:*}" -r 500 ping`, i.Connection["password"], hostOf(t, i)}
	ping := func() {
		if code, err := a.Exec(t.Context(), db, protocol.ExecInput{Argv: pings}, nil, io.Discard, io.Discard); err != nil || code != 0 {
			t.Fatalf("exec: %d, %v", code, err)
		}
	}
	ping()
	a.stop() // redis goes on, and counts on
	a = w.start("a", "run").up()
	w.until("the daemon has found the instance", func() error {
		i, err := a.Instance(t.Context(), db)
		if err == nil && i.State != protocol.StateStarted {
			err = fmt.Errorf("it is %s", i.State)
		}
		return err
	})
	ping()
	spin := []string{"sh", "-c", "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done"}
	var out bytes.Buffer
	begun := time.Now()
	if code, err := a.Exec(t.Context(), db, protocol.ExecInput{Argv: spin}, nil, &out, &out); err != nil || code != 0 {
		t.Fatalf("exec: %d, %v: %s", code, err, out.String())
	}
	spun := time.Since(begun)

	if _, err := a.SetState(t.Context(), db, protocol.RequestDestroyed); err != nil {
		t.Fatal(err)
	}
	w.until("the instance is destroyed", func() error {
		i, err := a.Instance(t.Context(), db)
		if err == nil && i.State != protocol.StateDestroyed {
			err = fmt.Errorf("it is %s", i.State)
		}
		return err
	})
	a.kill() // perhaps before the last usage is reported, perhaps after
	a = w.start("a", "run").up()
	var dora protocol.Statement
	w.until("the last usage is billed", func() (err error) {
		if dora, err = a.Statement(t.Context(), "dora"); err != nil {
			return err
		}
		bill := only(t, dora.Pays)
		if bill.Until == nil || bill.Used.Partition == 0 { // it is all in one report
			return fmt.Errorf("billed to %v, ended %v", bill.Billed, bill.Until)
		}
		return nil
	})
	bill := only(t, dora.Pays)
	if bill.Used.Core < 0.05 || bill.Used.Core > spun.Seconds()+60 { // the database used some too
		t.Errorf("%g core seconds are billed, it spun for %v", bill.Used.Core, spun)
	}
	if held := bill.Until.Sub(bill.From).Hours(); bill.Used.Partition <= 0 || bill.Used.Partition > held {
		t.Errorf("held for %g hours, billed for %g", held, bill.Used.Partition)
	}
	// Besides the pings there are promises, and the asking itself.
	if n := bill.Used.Metrics["requests"]; n < 1000 || n > 1200 {
		t.Errorf("%d requests are billed, 1000 were made", n)
	}
	owner, err := a.Statement(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	mint, err := a.Statement(t.Context(), protocol.MintAccount)
	if err != nil {
		t.Fatal(err)
	}
	total := amount(t, bill.Total)
	for what, got := range map[string]book.Amount{
		"dora":  amount(t, dora.Balance) + total - 10000*book.Credit,
		"owner": amount(t, owner.Balance) - total,
		"mint":  amount(t, mint.Balance) + 10000*book.Credit,
	} {
		if got != 0 {
			t.Errorf("%s is %s off", what, got)
		}
	}
	a.reviews(bill)
	if amount(t, dora.Reserved) != 0 || total < book.Credit {
		t.Errorf("%+v", dora)
	}
}

// reviews accepts the first half of a bill of dora's.
func (p *peer) reviews(bill protocol.Bill) {
	p.w.Helper()
	half := bill.From.Add(bill.Billed.Sub(bill.From) / 2)
	r := p.slapd("review", bill.Reference, "accepted", "--account", "dora", "--through", half.Format(time.RFC3339Nano))
	if r.code != 0 || !strings.Contains(r.out, bill.Reference+": what it used up to ") {
		p.w.Errorf("review: %+v", r)
	}
	r = p.slapd("statement", "--account", "dora")
	if r.code != 0 || !strings.Contains(r.out, " accepted to ") || !strings.Contains(r.out, " requests=") {
		p.w.Errorf("statement: %+v", r)
	}
}

// settledAs waits until an instance of an account is as requested.
func (p *peer) settledAs(ref protocol.Ref) {
	p.w.Helper()
	ctx, cancel := context.WithTimeout(p.w.Context(), 5*time.Minute) // it may be downloaded
	defer cancel()
	if i, err := protocol.Wait(ctx, p, ref, nil); err != nil {
		p.w.Fatalf("%s: %v (state %s: %s)", ref.Reference, err, i.State, i.Reason)
	}
}

// only returns the one bill.
func only(t *testing.T, bills []protocol.Bill) protocol.Bill {
	t.Helper()
	if len(bills) != 1 {
		t.Fatalf("%d bills: %+v", len(bills), bills)
	}
	return bills[0]
}

func amount(t *testing.T, text string) book.Amount {
	t.Helper()
	a, err := book.ParseAmount(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
