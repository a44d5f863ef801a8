package plaintext

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/bits"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/slapmesh/slapmesh/ledger/journal"
)

// A Format is one of those that [Write] knows.
type Format string

// The formats. DESIGN.md of package journal shows each.
const (
	JSON      Format = "json"      // one array, an entry on each line
	CSV       Format = "csv"       // RFC 4180, a row for each posting
	Ledger    Format = "ledger"    // what both ledger and hledger read
	Beancount Format = "beancount" // version 2 and 3
)

// Formats returns all formats.
func Formats() []Format { return []Format{JSON, CSV, Ledger, Beancount} }

// ParseFormat returns the format of that name.
func ParseFormat(name string) (Format, error) {
	if f := Format(name); slices.Contains(Formats(), f) {
		return f, nil
	}
	return "", fmt.Errorf("format %.20q: one of %v", name, Formats())
}

// Options say which entries are written, and what is said about them.
type Options struct {
	// Mesh is the name that stands at the head of the file.
	Mesh string

	// Account leaves out entries that post nothing to it. Default: all.
	Account string

	// From and Until are the period: entries from one moment on, and before
	// the other. Default: no bound. What was there before From comes first, as
	// opening balances, so that the sums of what is written are balances.
	From, Until time.Time

	// Balances are what the accounts have behind the last entry, as the
	// ledger has it. In the formats for accounting each becomes an
	// assertion, so that the reading program fails if it computes another
	// sum. With Account only that one can be asserted. Default: none.
	Balances map[string]journal.Amount
}

// A writer writes one format. It leaves errors of writing to its
// [bufio.Writer], which keeps the first.
type writer interface {
	// begin is called first, and once.
	begin(o Options)

	// opening writes what accounts had when the period begins, if that is
	// not where the journal begins. It comes before all entries.
	opening(at time.Time, balances []journal.Posting)

	// entry writes an entry that [check] has found sound.
	entry(e *journal.Entry)

	// end is called last, and once.
	end()
}

// A bookkeeper is a writer whose readers check balances.
type bookkeeper interface {
	writer

	// assert writes what accounts have behind the last entry.
	assert(balances []journal.Posting)
}

// Write writes the entries of a period in a format. Entries must come in the
// order of their numbers. It ends at the first error that they bring; what is
// written by then is not complete, which only [JSON] shows by itself.
func Write(out io.Writer, f Format, entries iter.Seq2[journal.Entry, error], o Options) error {
	buffered := bufio.NewWriterSize(out, 64<<10)
	w, err := f.writer(buffered)
	if err != nil {
		return err
	}
	if err := checkText("mesh", o.Mesh); err != nil {
		return fmt.Errorf("write %s: %w", f, err)
	}
	if err := write(w, entries, o); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", f, err), buffered.Flush())
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", f, err)
	}
	return nil
}

// epoch dates what is said of a journal without entries.
var epoch = time.Unix(0, 0).UTC()

func (f Format) writer(out *bufio.Writer) (writer, error) {
	switch f {
	case JSON:
		return &jsonWriter{out: out}, nil
	case CSV:
		return &csvWriter{out: out}, nil
	case Ledger:
		return &ledgerWriter{out: out, seen: make(map[string]bool), last: epoch}, nil
	case Beancount:
		return &beanWriter{out: out, seen: make(map[string]bool), last: epoch}, nil
	}
	_, err := ParseFormat(string(f))
	return nil, err
}

func write(w writer, entries iter.Seq2[journal.Entry, error], o Options) error {
	books, _ := w.(bookkeeper)
	before := make(sums)
	var last *journal.Entry
	open := o.From.IsZero()
	w.begin(o)
	for e, err := range entries {
		if err != nil {
			return err
		}
		if err := check(&e, last); err != nil {
			return fmt.Errorf("entry %d: %w", e.N, err)
		}
		last = &e
		at := e.At.Time()
		switch {
		case !o.Until.IsZero() && !at.Before(o.Until), o.Account != "" && !posts(&e, o.Account):
			continue
		case !o.From.IsZero() && at.Before(o.From):
			if err := before.add(e.Postings); err != nil {
				return fmt.Errorf("entry %d: %w", e.N, err)
			}
			continue
		case !open:
			w.opening(o.From, before.moved())
			open = true
		}
		w.entry(&e)
	}
	if !open {
		w.opening(o.From, before.moved())
	}
	if books != nil && o.Balances != nil {
		books.assert(o.asserted().postings())
	}
	w.end()
	return nil
}

// asserted returns the balances that follow from what is written.
func (o Options) asserted() sums {
	if o.Account == "" {
		return o.Balances
	}
	sum, ok := o.Balances[o.Account]
	if !ok {
		return nil
	}
	return sums{o.Account: sum}
}

func posts(e *journal.Entry, account string) bool {
	return slices.ContainsFunc(e.Postings, func(p journal.Posting) bool { return p.Account == account })
}

// check refuses what no format could say truthfully: an entry out of order,
// postings that do not balance, names that would break a line.
func check(e, last *journal.Entry) error {
	if last != nil && e.N <= last.N {
		return fmt.Errorf("it follows entry %d: entries must come in order", last.N)
	}
	if last != nil && e.At < last.At {
		return fmt.Errorf("%s is before the entry that it follows", moment(e.At))
	}
	texts := []struct{ what, text string }{
		{"kind", e.Kind}, {"principal", e.Principal}, {"peer", e.Peer}, {"account", e.Account}, {"computer", e.Computer},
	}
	for _, t := range texts {
		if err := checkText(t.what, t.text); err != nil {
			return err
		}
	}
	var sum, high uint64 // a signed number of 128 bits
	for _, p := range e.Postings {
		if p.Account == "" {
			return errors.New("a posting without account")
		}
		if err := checkText("posting to", p.Account); err != nil {
			return err
		}
		var carry uint64
		sum, carry = bits.Add64(sum, uint64(p.Amount), 0)
		high, _ = bits.Add64(high, uint64(p.Amount>>63), carry)
	}
	if sum != 0 || high != 0 {
		return errors.New("its postings do not sum to zero")
	}
	return nil
}

// checkText refuses what is not one line of text. The ledger gives no such
// names away; whoever else made the entry could write lines of their own.
func checkText(what, text string) error {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, breaks) {
		return fmt.Errorf("%s %.20q: not one line of text", what, text)
	}
	return nil
}

func breaks(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// sums are what accounts have.
type sums map[string]journal.Amount

func (s sums) add(postings []journal.Posting) error {
	for _, p := range postings {
		sum := s[p.Account] + p.Amount
		if (sum > s[p.Account]) != (p.Amount > 0) {
			return fmt.Errorf("account %q: its balance is out of range", p.Account)
		}
		s[p.Account] = sum
	}
	return nil
}

// moved returns what is not zero, in the order of the accounts' names.
func (s sums) moved() []journal.Posting {
	return slices.DeleteFunc(s.postings(), func(p journal.Posting) bool { return p.Amount == 0 })
}

// postings returns the sums in the order of the accounts' names.
func (s sums) postings() []journal.Posting {
	list := make([]journal.Posting, 0, len(s))
	for account, sum := range s {
		list = append(list, journal.Posting{Account: account, Amount: sum})
	}
	slices.SortFunc(list, func(a, b journal.Posting) int { return strings.Compare(a.Account, b.Account) })
	return list
}

// credits returns an amount in credits with all six decimals, such as
// "-12.500000": what is exact should look exact.
func credits(a journal.Amount) string {
	sign, u := "", uint64(a)
	if a < 0 {
		sign, u = "-", -u
	}
	return fmt.Sprintf("%s%d.%06d", sign, u/1_000_000, u%1_000_000)
}

// moment returns a moment in RFC 3339, UTC, with nanoseconds if it has any.
func moment(t journal.UnixNano) string { return t.Time().Format(time.RFC3339Nano) }

// day returns the date of a moment, UTC.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
