package plaintext

import (
	"bufio"
	"fmt"
	"strings"
	"time"

	"github.com/slapmesh/slapmesh/ledger/journal"
)

// beanWriter writes what beancount reads. An account is opened where it is
// seen first: beancount sorts by date, and on one date opens first.
type beanWriter struct {
	out   *bufio.Writer
	seen  map[string]bool // accounts that are opened
	begun bool
	last  time.Time
}

const beanHead = `;; The journal of the mesh %s.
;;
;; A transaction is one entry of the journal; its metadata says what the entry is about. Times
;; are UTC. A credit has six decimals; the sixth is a micro-credit.
;;
;; Assets:Wallet-NAME  the wallet of an account
;; Assets:Mesh         what the mesh keeps of what is paid (@mesh)
;; Equity:Mint         where credits come from (@mint): it owes all that there are
;;
;; In a NAME plain letters, digits and single dashes stand for themselves, and all else is
;; written --HEX-, HEX being its code point: --40- is an at sign. The metadata "name" of an
;; account is its real name.

option "title" %s
option "operating_currency" "%s"

`

func (w *beanWriter) begin(o Options) {
	w.printf(beanHead, percent(o.Mesh), quoted("Journal of the mesh "+o.Mesh), currency)
}

func (w *beanWriter) entry(e *journal.Entry) {
	if len(e.Postings) == 0 {
		return
	}
	w.open(e.At.Time(), e.Postings...)
	w.printf("%s * %s\n", day(w.last), quoted(e.Kind))
	for _, t := range tagsOf(e) {
		w.printf("  %s: %s\n", t.name, quoted(t.value))
	}
	w.postings(e.Postings)
}

func (w *beanWriter) opening(at time.Time, balances []journal.Posting) {
	if len(balances) == 0 {
		return
	}
	w.open(at, balances...)
	w.printf("%s * \"opening balances\"\n", day(at))
	w.postings(balances)
}

// assert says what accounts have when the day behind the last one begins:
// beancount checks balances before what happens on their day. It would let a
// difference of one micro-credit pass, were it not told to tolerate none.
func (w *beanWriter) assert(balances []journal.Posting) {
	for _, p := range balances {
		if p.Amount != 0 || w.seen[p.Account] {
			w.open(w.last, p)
			w.printf("%s balance %s  %s ~ 0 %s\n", day(w.last.AddDate(0, 0, 1)), Beancount.Account(p.Account), credits(p.Amount), currency)
		}
	}
}

func (w *beanWriter) end() {}

// open writes what must be there before postings of a moment.
func (w *beanWriter) open(at time.Time, postings ...journal.Posting) {
	w.last = at
	if !w.begun {
		w.printf("%s commodity %s\n  name: \"Credit\"\n\n", day(at), currency)
		w.begun = true
	}
	for _, p := range postings {
		if w.seen[p.Account] {
			continue
		}
		w.seen[p.Account] = true
		w.printf("%s open %s %s\n  name: %s\n\n", day(at), Beancount.Account(p.Account), currency, quoted(p.Account))
	}
}

func (w *beanWriter) postings(postings []journal.Posting) {
	for _, p := range postings {
		w.printf("  %s  %s %s\n", Beancount.Account(p.Account), credits(p.Amount), currency)
	}
	w.printf("\n")
}

func (w *beanWriter) printf(format string, args ...any) { fmt.Fprintf(w.out, format, args...) }

// quoted returns a string of beancount.
func quoted(text string) string { return `"` + quoting.Replace(text) + `"` }

var quoting = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
