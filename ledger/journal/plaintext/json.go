package plaintext

import (
	"bufio"
	"encoding/json"

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
		Account: e.Account, Instance: e.Instance, Computer: e.Computer, Postings: make([]jsonPosting, len(e.Postings)),
	}
	for _, q := range e.Used {
		line.Used = append(line.Used, jsonUsed(q))
	}
	for i, p := range e.Postings {
		line.Postings[i] = jsonPosting{p.Account, credits(p.Amount), p.Amount}
	}
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
