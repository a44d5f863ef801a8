package tiers

import (
	"cmp"
	"slices"
)

// maxPeers bounds every list.
const maxPeers = 8192

// maxTombs bounds how many that are gone a list of claims remembers.
const maxTombs = 1024

// An Entry is what a list says of one peer.
type Entry struct {
	_     struct{} `cbor:",toarray"`
	ID    string
	Flags uint64
	Seq   uint64 // of its newest descriptor
}

// The flags of an entry.
const (
	flagAlive uint64 = 1 << iota
	flagPool         // it gossips
)

// A status is what a table keeps of one peer.
type status struct {
	seq     uint64
	version uint64 // of the table, when it changed last
	flags   uint64
}

// A table is a list of peers that remembers in which order it changed.
type table struct {
	version uint64
	floor   uint64 // what changed before that may be forgotten
	peers   map[string]status
	tombs   int // entries that are not alive
}

// newTable makes one whose versions begin at start. Of two lives of a peer the
// later one starts higher.
func newTable(start uint64) table {
	return table{version: start, floor: start, peers: map[string]status{}}
}

// set records what is known of a peer, and reports whether it is news.
func (t *table) set(id string, flags, seq uint64) bool {
	old, ok := t.peers[id]
	if ok && old.flags == flags && old.seq == seq || !ok && len(t.peers) >= maxPeers {
		return false
	}
	if ok && old.flags&flagAlive == 0 {
		t.tombs--
	}
	if flags&flagAlive == 0 {
		t.tombs++
	}
	t.version++
	t.peers[id] = status{seq, t.version, flags}
	return true
}

// drop forgets one, without telling.
func (t *table) drop(id string) {
	if s, ok := t.peers[id]; ok {
		if s.flags&flagAlive == 0 {
			t.tombs--
		}
		delete(t.peers, id)
	}
}

// bury forgets those that are gone when they are many. Who has not heard of
// them is sent the whole list.
func (t *table) bury() {
	if t.tombs <= maxTombs {
		return
	}
	for id, s := range t.peers {
		if s.flags&flagAlive == 0 {
			delete(t.peers, id)
		}
	}
	t.tombs, t.floor = 0, t.version
}

// since lists what changed after a version, in that order. From is 0 if it is
// the whole list that is told instead.
func (t *table) since(version uint64) (from uint64, out []Entry) {
	if version < t.floor || version > t.version {
		version = 0
	}
	type dated struct {
		Entry
		version uint64
	}
	var all []dated
	for id, s := range t.peers {
		if s.version > version {
			all = append(all, dated{Entry{ID: id, Flags: s.flags, Seq: s.seq}, s.version})
		}
	}
	slices.SortFunc(all, func(a, b dated) int { return cmp.Compare(a.version, b.version) })
	for _, d := range all {
		out = append(out, d.Entry)
	}
	return version, out
}

// A told is a list of another peer's, as far as it was received.
type told struct {
	have    uint64
	peers   map[string]uint64 // flags of those alive
	pending map[string]uint64 // of a whole list that is still coming
}

// begin forgets parts of a list whose rest never came.
func (l *told) begin() { l.pending = nil }

// take adds a part of a list, and returns the peers of which it says something
// new. A part that does not follow what is there is refused: ok is false.
func (l *told) take(from, to uint64, more bool, entries []Entry) (changed []string, ok bool) {
	if from != 0 {
		if from != l.have {
			return nil, false
		}
		for _, e := range entries {
			l.put(l.peers, e)
			changed = append(changed, e.ID)
		}
		if !more {
			l.have = to
		}
		return changed, true
	}
	if l.pending == nil {
		l.pending = map[string]uint64{}
	}
	for _, e := range entries {
		l.put(l.pending, e)
		changed = append(changed, e.ID)
	}
	if more {
		return nil, true // it counts when it is whole
	}
	for id := range l.peers {
		changed = append(changed, id)
	}
	for id := range l.pending {
		changed = append(changed, id)
	}
	l.have, l.peers, l.pending = to, l.pending, nil
	slices.Sort(changed)
	return slices.Compact(changed), true
}

func (l *told) put(in map[string]uint64, e Entry) {
	switch _, known := in[e.ID]; {
	case e.Flags&flagAlive == 0:
		delete(in, e.ID)
	case known || len(in) < maxPeers:
		in[e.ID] = e.Flags
	}
}
