package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
)

// MaxPage is the most entries that one query gives. Who wants more asks
// again, from behind the last: history does not move.
const MaxPage = 10_000

// A Query asks for entries. At most one of Account, Computer and Instance is
// set; none means all entries.
type Query struct {
	Account  string // entries that concern it or post to it
	Computer string
	Instance uint64

	// From is the number to begin with. Going backwards, a number behind the
	// last means the last.
	From uint64

	// Backwards gives the newest first.
	Backwards bool

	// Limit is the most entries to give. Default and maximum [MaxPage].
	Limit int
}

// prefix returns what the keys of the rows to read begin with.
func (q Query) prefix() ([]byte, error) {
	set := 0
	prefix := []byte{rowEntry}
	for _, name := range []struct {
		row  byte
		name string
	}{{rowAccount, q.Account}, {rowComputer, q.Computer}} {
		if name.name == "" {
			continue
		}
		if err := checkName(name.name); err != nil {
			return nil, fmt.Errorf("query: %w", err)
		}
		set++
		prefix = appendNamePrefix(nil, name.row, name.name)
	}
	if q.Instance != 0 {
		set++
		prefix = appendInstancePrefix(nil, q.Instance)
	}
	if set > 1 {
		return nil, errors.New("query: one of account, computer and instance")
	}
	return prefix, nil
}

// Entries gives the entries that q asks for, as they are when the iteration
// begins. The error, if there is one, comes last: a [MissingError] where the
// journal itself does not know what comes next.
func (j *Journal) Entries(q Query) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for row, err := range j.leaves(q) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			e, err := ParseLeaf(row.leaf)
			if err != nil || e.N != row.n {
				yield(Entry{}, &DamageError{row.n, "is not an entry of that number", err})
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Entry reads one entry.
func (j *Journal) Entry(n uint64) (Entry, error) {
	for e, err := range j.Entries(Query{From: n, Limit: 1}) {
		return e, err
	}
	return Entry{}, fmt.Errorf("entry %d: the journal has %d entries", n, j.Size())
}

type leafRow struct {
	n    uint64
	leaf []byte // valid until the next step
}

// leaves gives the leaves that q asks for.
func (j *Journal) leaves(q Query) iter.Seq2[leafRow, error] {
	return func(yield func(leafRow, error) bool) {
		w, err := j.walk(q)
		if err != nil {
			yield(leafRow{}, err)
			return
		}
		for w.limit > 0 {
			row, ok, err := w.next()
			if err != nil {
				yield(leafRow{}, errors.Join(err, w.rows.Close()))
				return
			}
			if !ok {
				break
			}
			if w.limit--; !yield(row, nil) {
				break
			}
		}
		if err := w.rows.Close(); err != nil {
			yield(leafRow{}, fmt.Errorf("read journal: %w", err))
		}
	}
}

// A walk steps through the rows that a query needs. An iterator of the store
// sees the store as it was when the iterator was made, and entries are never
// changed, so a walk is consistent without holding anybody up.
type walk struct {
	j         *Journal
	rows      *pebble.Iterator
	gap       *gap
	direct    bool // the rows are the entries themselves
	backwards bool
	limit     int
	at        uint64 // the number that the next row may have, or any behind it
	size      uint64
	leaf      []byte
}

func (j *Journal) walk(q Query) (*walk, error) {
	prefix, err := q.prefix()
	if err != nil {
		return nil, err
	}
	j.mu.RLock()
	w := &walk{j: j, gap: j.gap, size: j.head.Size, direct: prefix[0] == rowEntry, backwards: q.Backwards, limit: MaxPage, at: q.From}
	j.mu.RUnlock()
	if q.Limit > 0 {
		w.limit = min(q.Limit, MaxPage)
	}
	if q.Backwards {
		w.at = min(q.From, max(w.size, 1)-1)
	}
	bound := func(n uint64) []byte { return binary.BigEndian.AppendUint64(append([]byte(nil), prefix...), n) }
	bounds := &pebble.IterOptions{LowerBound: bound(w.at), UpperBound: bound(w.size)}
	if q.Backwards {
		bounds = &pebble.IterOptions{LowerBound: bound(0), UpperBound: bound(min(w.at+1, w.size))}
	}
	if !q.Backwards && w.at >= w.size {
		bounds.LowerBound = bounds.UpperBound
	}
	if w.rows, err = j.db.NewIter(bounds); err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	if q.Backwards {
		w.rows.Last()
	} else {
		w.rows.First()
	}
	return w, nil
}

// next returns the next row, if there is one.
func (w *walk) next() (leafRow, bool, error) {
	if !w.rows.Valid() {
		if err := w.rows.Error(); err != nil {
			return leafRow{}, false, &DamageError{w.at, "cannot be read", err}
		}
		if err := w.crosses(w.end()); err != nil {
			return leafRow{}, false, err
		}
		if w.direct && !w.over() {
			return leafRow{}, false, &DamageError{w.at, "is missing", nil}
		}
		return leafRow{}, false, nil
	}
	n := numberOf(w.rows.Key())
	if err := w.crosses(n); err != nil {
		return leafRow{}, false, err
	}
	if w.direct && n != w.at {
		return leafRow{}, false, &DamageError{w.at, "is missing", nil}
	}
	value, err := w.value(n)
	if err != nil {
		return leafRow{}, false, err
	}
	_, leaf, ok := splitRow(n, value)
	if !ok {
		return leafRow{}, false, &DamageError{n, "is cut short", nil}
	}
	w.leaf = append(w.leaf[:0], leaf...)
	if w.backwards {
		w.at = n - 1 // behind 0 nothing is valid
		w.rows.Prev()
	} else {
		w.at = n + 1
		w.rows.Next()
	}
	return leafRow{n, w.leaf}, true, nil
}

func (w *walk) value(n uint64) ([]byte, error) {
	if w.direct {
		value, err := w.rows.ValueAndErr()
		if err != nil {
			return nil, &DamageError{n, "cannot be read", err}
		}
		return value, nil
	}
	var scratch [9]byte
	var err error
	if w.leaf, err = w.j.get(w.leaf[:0], appendEntryKey(scratch[:0], n)); err != nil {
		return nil, &DamageError{n, "is in an index, and cannot be read", err}
	}
	return w.leaf, nil
}

// end is the number at which a walk is over.
func (w *walk) end() uint64 {
	if w.backwards {
		return 0
	}
	return w.size
}

// over says that no number is left.
func (w *walk) over() bool {
	if w.backwards {
		return w.size == 0 || w.at+1 == 0
	}
	return w.at >= w.size
}

// crosses says what is missing on the way to n.
func (w *walk) crosses(n uint64) error {
	if w.gap == nil || w.over() {
		return nil
	}
	low, high := w.at, n
	if w.backwards {
		low, high = n, w.at
	}
	if low >= w.gap.To.Size || high < w.gap.From {
		return nil
	}
	return &MissingError{w.gap.From, w.gap.To.Size}
}
