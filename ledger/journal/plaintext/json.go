package plaintext

import (
	"bufio"
	"encoding/json"
	"time"

	"github.com/slapmesh/slapmesh/ledger/journal"
)

// jsonWriter writes one array with an entry on each line: one value for who
// reads it whole, lines for who does not, and a file that was cut lacks its
// end.
type jsonWriter struct {
	out   *bufio.Writer
	begun bool
}

// A jsonEntry is what programs rely on: fields are added, never changed.
type jsonEntry struct {
	Entry     uint64        `json:"entry"`
	LogIndex  uint64        `json:"log_index"`
	Time      string        `json:"time"`
	Kind      string        `json:"kind"`
	Principal string        `json:"principal,omitempty"`
	Peer      string        `json:"peer,omitempty"`
	Account   string        `json:"account,omitempty"`
	Instance  uint64        `json:"instance,omitempty"`
	Computer  string        `json:"computer,omitempty"`
	Used      []jsonUsed    `json:"used,omitempty"`
	Postings  []jsonPosting `json:"postings"`
}

type jsonUsed struct {
	Unit   string `json:"unit"`
	Amount uint64 `json:"amount"`
}

// A jsonOpening comes before all entries of a period that begins later than
// the journal.
type jsonOpening struct {
	Kind     string        `json:"kind"`
	Time     string        `json:"time"`
	Postings []jsonPosting `json:"postings"`
}

// openingKind is the kind of opening balances, which no entry has.
const openingKind = "opening-balances"

// A jsonPosting says its sum twice: as text, which every reader keeps exact,
// and as a whole number.
type jsonPosting struct {
	Account string         `json:"account"`
	Amount  string         `json:"amount"`
	Micro   journal.Amount `json:"micro_credits"`
}

func (w *jsonWriter) begin(Options) { w.string("[") }

func (w *jsonWriter) entry(e *journal.Entry) {
	line := jsonEntry{
		Entry: e.N, LogIndex: e.Index, Time: moment(e.At), Kind: e.Kind, Principal: e.Principal, Peer: e.Peer,
		Account: e.Account, Instance: e.Instance, Computer: e.Computer, Postings: jsonPostings(e.Postings),
	}
	for _, q := range e.Used {
		line.Used = append(line.Used, jsonUsed(q))
	}
	w.line(line)
}

func (w *jsonWriter) opening(at time.Time, balances []journal.Posting) {
	if len(balances) > 0 {
		w.line(jsonOpening{openingKind, moment(journal.UnixNano(at.UnixNano())), jsonPostings(balances)})
	}
}

func jsonPostings(postings []journal.Posting) []jsonPosting {
	out := make([]jsonPosting, len(postings))
	for i, p := range postings {
		out[i] = jsonPosting{p.Account, credits(p.Amount), p.Amount}
	}
	return out
}

func (w *jsonWriter) line(line any) {
	separator := ",\n"
	if !w.begun {
		separator = "\n"
	}
	w.begun = true
	w.string(separator)
	data, err := json.Marshal(line)
	if err != nil {
		panic("plaintext: " + err.Error()) // it is text and numbers
	}
	_, _ = w.out.Write(data)
}

func (w *jsonWriter) end() { w.string("\n]\n") }

func (w *jsonWriter) string(s string) { _, _ = w.out.WriteString(s) }
