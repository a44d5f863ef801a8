package replica

import (
	"sort"
	"sync"

	"github.com/slapmesh/slapmesh/ledger"
)

// A history remembers the latest changes, in the order in which they were
// made.
type history struct {
	limit int // changes that are kept at least

	mu      sync.Mutex // guards what follows
	from    uint64     // everything after this index is here
	entries []applied
	size    int // changes in entries
}

type applied struct {
	index   uint64
	changes []ledger.Change
}

// add remembers the changes of the entry at index.
func (h *history) add(index uint64, changes []ledger.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(changes) == 0 {
		return
	}
	h.entries = append(h.entries, applied{index, changes})
	h.size += len(changes)
	for len(h.entries) > 1 && h.size-len(h.entries[0].changes) >= h.limit {
		h.size -= len(h.entries[0].changes)
		h.from = h.entries[0].index
		h.entries[0] = applied{}
		h.entries = h.entries[1:]
	}
}

// reset forgets everything up to index.
func (h *history) reset(index uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.from, h.entries, h.size = index, nil, 0
}

// between returns the changes after since and up to index.
func (h *history) between(since, index uint64) ([]ledger.Change, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if since < h.from || since > index {
		return nil, false
	}
	after := func(i uint64) int {
		return sort.Search(len(h.entries), func(n int) bool { return h.entries[n].index > i })
	}
	var changes []ledger.Change
	for _, e := range h.entries[after(since):after(index)] {
		changes = append(changes, e.changes...)
	}
	return changes, true
}
