package replica

import "sync"

// A Mark is the hash of the state at an index. At equal indices replicas have
// equal hashes, or one of them is damaged.
type Mark struct {
	Index uint64 `json:"index"`
	Hash  string `json:"hash"` // as [ledger.Hash.String]
}

// Marks are made at every so many entries, and so many are kept: enough for
// replicas of a busy mesh, which are never at the same index, to have some in
// common.
const (
	markEvery = 64
	markCount = 1024
)

type marks struct {
	mu   sync.Mutex // guards what follows
	list []Mark     // the oldest first
}

// add remembers a mark, if one is due.
func (m *marks) add(index uint64, hash func() string) {
	if index%markEvery != 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.list) >= markCount {
		m.list = append(m.list[:0:0], m.list[markCount/2:]...)
	}
	m.list = append(m.list, Mark{index, hash()})
}

func (m *marks) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = nil
}

// Marks returns those that are kept, and that of now.
func (r *Replica) Marks() []Mark {
	v := r.View()
	r.marks.mu.Lock()
	defer r.marks.mu.Unlock()
	return append(append([]Mark(nil), r.marks.list...), Mark{v.Index(), v.Hash().String()})
}
