package plaintext

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/slapmesh/slapmesh/ledger/journal"
)

// A tag is one thing that a transaction is about.
type tag struct{ name, value string }

func tagsOf(e *journal.Entry) []tag {
	tags := []tag{
		{"entry", strconv.FormatUint(e.N, 10)},
		{"log", strconv.FormatUint(e.Index, 10)},
		{"time", moment(e.At)},
		{"kind", e.Kind},
	}
	for _, t := range []tag{{"principal", e.Principal}, {"peer", e.Peer}, {"account", e.Account}, {"computer", e.Computer}} {
		if t.value != "" {
			tags = append(tags, t)
		}
	}
	if e.Instance != 0 {
		tags = append(tags, tag{"instance", strconv.FormatUint(e.Instance, 10)})
	}
	if len(e.Used) > 0 {
		tags = append(tags, tag{"used", used(e)})
	}
	return tags
}

// used says what was billed in one line, such as "12 requests + 4096 network-bytes".
// What a metric is called, its computer says: what would break the line is
// replaced, and an entry is not lost for it.
func used(e *journal.Entry) string {
	var b strings.Builder
	for i, q := range e.Used {
		if i > 0 {
			b.WriteString(" + ")
		}
		b.WriteString(strconv.FormatUint(q.Amount, 10) + " " + strings.Map(unbroken, q.Unit))
	}
	return b.String()
}

func unbroken(r rune) rune {
	if breaks(r) {
		return utf8.RuneError
	}
	return r
}
