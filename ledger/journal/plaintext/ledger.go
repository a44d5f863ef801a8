package plaintext

import (
	"bufio"
	"fmt"
	"time"

	"github.com/slapmesh/slapmesh/ledger/journal"
)

// currency is what a credit is called where a commodity needs a name.
const currency = "CREDIT"

// ledgerWriter writes what both ledger and hledger read, also when they are
// told to be strict: what is used is declared before.
type ledgerWriter struct {
	out  *bufio.Writer
	seen map[string]bool // accounts that are declared
	last time.Time
}

const ledgerHead = `; The journal of the mesh %s.
;
; A transaction is one entry of the journal: its code is the entry's number, its tags say what
; the entry is about. Times are UTC. A credit has six decimals; the sixth is a micro-credit.
;
; Assets:Wallets:NAME  the wallet of an account
; Assets:Mesh          what the mesh keeps of what is paid (@mesh)
; Equity:Mint          where credits come from (@mint): it owes all that there are
;
; In a NAME and in tags letters, digits, single spaces and - _ . @ + stand for themselves, and
; all else is written as in a URL: %%3B is a semicolon.

commodity %s
    format 1.000000 %[2]s

`

// ledgerTags are all tags, declared at the head.
var ledgerTags = []string{"entry", "log", "time", "kind", "principal", "peer", "account", "instance", "computer", "used", "name"}

func (w *ledgerWriter) begin(o Options) {
	w.printf(ledgerHead, percent(o.Mesh), currency)
	for _, tag := range ledgerTags {
		w.printf("tag %s\n", tag)
	}
	w.printf("\n")
}

func (w *ledgerWriter) entry(e *journal.Entry) {
	if len(e.Postings) == 0 {
		return
	}
	w.declare(e.Postings...)
	w.last = e.At.Time()
	w.printf("%s * (%d) %s\n", day(w.last), e.N, percent(e.Kind))
	for _, t := range tagsOf(e) {
		value := t.value
		if t.name != "time" {
			value = percent(value)
		}
		w.printf("    ; %s: %s\n", t.name, value)
	}
	w.postings(e.Postings)
}

func (w *ledgerWriter) opening(at time.Time, balances []journal.Posting) {
	if len(balances) == 0 {
		return
	}
	w.declare(balances...)
	w.last = at
	w.printf("%s * opening balances\n", day(at))
	w.postings(balances)
}

// assert moves nothing: amounts behind = are what must be there.
func (w *ledgerWriter) assert(balances []journal.Posting) {
	for _, p := range balances {
		if p.Amount == 0 && !w.seen[p.Account] {
			continue
		}
		w.declare(p)
		w.printf("%s * balance\n    %s  %s %s = %s %[4]s\n\n", day(w.last), Ledger.Account(p.Account), credits(0), currency, credits(p.Amount))
	}
}

func (w *ledgerWriter) end() {}

func (w *ledgerWriter) declare(postings ...journal.Posting) {
	for _, p := range postings {
		if w.seen[p.Account] {
			continue
		}
		w.seen[p.Account] = true
		w.printf("account %s\n    ; name: %s\n\n", Ledger.Account(p.Account), percent(p.Account))
	}
}

func (w *ledgerWriter) postings(postings []journal.Posting) {
	for _, p := range postings {
		w.printf("    %s  %s %s\n", Ledger.Account(p.Account), credits(p.Amount), currency)
	}
	w.printf("\n")
}

func (w *ledgerWriter) printf(format string, args ...any) { fmt.Fprintf(w.out, format, args...) }
