package plaintext

import (
	"strconv"

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
	return tags
}
