package plaintext

import (
	"bufio"
	"encoding/csv"
	"strconv"
	"strings"
	"time"

	"github.com/slapmesh/slapmesh/ledger/journal"
)

// csvWriter writes a row for each posting, as RFC 4180 has it: with a header,
// commas, and lines that end with CR LF.
type csvWriter struct {
	out *bufio.Writer
	csv *csv.Writer
}

var csvHeader = []string{
	"entry", "log_index", "time", "kind", "principal", "peer", "account", "instance", "computer", "used",
	"posting", "posting_account", "amount", "micro_credits",
}

func (w *csvWriter) begin(Options) {
	w.csv = csv.NewWriter(w.out)
	w.csv.UseCRLF = true
	w.row(csvHeader...)
}

func (w *csvWriter) entry(e *journal.Entry) {
	instance := ""
	if e.Instance != 0 {
		instance = strconv.FormatUint(e.Instance, 10)
	}
	for i, p := range e.Postings {
		w.row(
			strconv.FormatUint(e.N, 10), strconv.FormatUint(e.Index, 10), moment(e.At), guard(e.Kind), guard(e.Principal),
			guard(e.Peer), guard(e.Account), instance, guard(e.Computer), guard(used(e)),
			strconv.Itoa(i+1), guard(p.Account), credits(p.Amount), strconv.FormatInt(int64(p.Amount), 10),
		)
	}
}

func (w *csvWriter) opening(at time.Time, balances []journal.Posting) {
	for i, p := range balances {
		w.row(
			"", "", moment(journal.UnixNano(at.UnixNano())), openingKind, "", "", "", "", "", "",
			strconv.Itoa(i+1), guard(p.Account), credits(p.Amount), strconv.FormatInt(int64(p.Amount), 10),
		)
	}
}

func (w *csvWriter) end() { w.csv.Flush() }

func (w *csvWriter) row(fields ...string) {
	_ = w.csv.Write(fields) // what cannot be written shows when out is flushed
}

// guard keeps spreadsheets from taking a text for a formula: one that begins
// as a formula may gets an apostrophe before it, and so does one that begins
// with an apostrophe. So exactly one is to be taken away to have the text.
func guard(text string) string {
	if text != "" && strings.ContainsRune("=+-@'＝＋－＠", []rune(text)[0]) {
		return "'" + text
	}
	return text
}
