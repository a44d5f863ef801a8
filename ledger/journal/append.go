package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/tlog"
)

// A MismatchError says that history already holds something else under a
// number. Two histories of one mesh are a fault that nobody can mend by going
// on: a voter that sees this must stop.
type MismatchError struct {
	N         uint64
	Have, Got []byte // leaves
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("append entry %d: the journal holds another one: have %x, got %x", e.N, e.Have, e.Got)
}

// Append adds entries, which must be numbered without gaps from at most
// [Journal.Size] on, and returns the new size. Those that are there already
// must be equal to what is there, or the answer is a [MismatchError] and
// nothing is added: so a log can be replayed.
//
// All entries of one call are added, or none. They are not durable before
// [Journal.Sync] says so. What was appended is visible to readers at once.
func (j *Journal) Append(entries ...Entry) (uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.usable(); err != nil {
		return j.head.Size, fmt.Errorf("append: %w", err)
	}
	for i := range entries {
		if want := entries[0].N + uint64(i); entries[i].N != want || want > j.head.Size+uint64(i) {
			return j.head.Size, fmt.Errorf("append entry %d: numbered with a gap: the journal has %d entries", entries[i].N, j.head.Size)
		}
	}
	old := 0
	for old < len(entries) && entries[old].N < j.head.Size {
		old++
	}
	if err := j.compareLocked(entries[:old]); err != nil {
		return j.head.Size, err
	}
	if old == len(entries) {
		return j.head.Size, nil
	}
	batch := j.db.NewBatchWithSize(512 * (len(entries) - old))
	defer func() { _ = batch.Close() }()
	head := j.head.clone()
	j.writer.begin()
	for i := range entries[old:] {
		if err := j.writer.add(batch, &head, &entries[old+i]); err != nil {
			return j.head.Size, err
		}
	}
	if err := j.writer.addIndexes(batch); err != nil {
		return j.head.Size, err
	}
	if err := j.write(func() error { return batch.Commit(pebble.NoSync) }); err != nil {
		return j.head.Size, fmt.Errorf("append entry %d: %w", entries[old].N, err)
	}
	j.head = head
	j.size.Store(head.Size)
	return head.Size, nil
}

// A writer makes rows: first those of entries, then those of their indexes.
type writer struct {
	keys []byte // of the index rows to come, one behind the other
	ends []int  // of each of them

	// Memory that is used again.
	buf     bytes.Buffer
	scratch [2 + MaxName + 8]byte
	done    [64]Hash
	sorted  [][]byte
}

// begin forgets what was added to a batch that was given up.
func (w *writer) begin() { w.keys, w.ends = w.keys[:0], w.ends[:0] }

// add puts the row of e into a batch, e into the tree that ends at head, and the
// keys of its index rows by.
func (w *writer) add(batch *pebble.Batch, head *Frontier, e *Entry) error {
	w.buf.Reset()
	w.buf.WriteByte(0) // what RFC 6962 hashes is this byte and the leaf
	if err := e.appendTo(&w.buf); err != nil {
		return fmt.Errorf("append %w", err)
	}
	leaf := w.buf.Bytes()[1:]
	if len(leaf) > MaxLeaf {
		return fmt.Errorf("append entry %d: leaf of %d bytes: at most %d", e.N, len(leaf), MaxLeaf)
	}
	nodes := head.grow(sha256.Sum256(w.buf.Bytes()), &w.done)

	beside := min(nodes, tileHeight)
	row := batch.SetDeferred(1+8, beside*tlog.HashSize+len(leaf))
	row.Key[0] = rowEntry
	binary.BigEndian.PutUint64(row.Key[1:], e.N)
	for level := range beside {
		copy(row.Value[level*tlog.HashSize:], w.done[level][:])
	}
	copy(row.Value[beside*tlog.HashSize:], leaf)
	if err := row.Finish(); err != nil {
		return err
	}
	for level := tileHeight; level < nodes; level++ {
		key := appendHashKey(w.scratch[:0], level, e.N>>level)
		if err := batch.Set(key, w.done[level][:], nil); err != nil {
			return err
		}
	}
	return e.eachIndexKey(w.scratch[:0], func(key []byte) error {
		w.keys = append(w.keys, key...)
		w.ends = append(w.ends, len(w.keys))
		return nil
	})
}

// addIndexes puts the index rows of all that was added into a batch, in the
// order of their keys: the store finds the place of one from that of the last.
func (w *writer) addIndexes(batch *pebble.Batch) error {
	w.sorted = w.sorted[:0]
	begin := 0
	for _, end := range w.ends {
		w.sorted = append(w.sorted, w.keys[begin:end])
		begin = end
	}
	slices.SortFunc(w.sorted, bytes.Compare)
	for _, key := range w.sorted {
		if err := batch.Set(key, nil, nil); err != nil {
			return err
		}
	}
	w.begin()
	return nil
}

// compareLocked compares entries that are there already with what is there.
func (j *Journal) compareLocked(entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	rows, err := j.rows(rowEntry, entries[0].N)
	if err != nil {
		return unread(err)
	}
	buf := &j.writer.buf
	for i := range entries {
		e := &entries[i]
		if j.gap.covers(e.N) {
			return errors.Join(&MissingError{j.gap.From, j.gap.To.Size}, rows.Close())
		}
		buf.Reset()
		if err := e.appendTo(buf); err != nil {
			return errors.Join(fmt.Errorf("append %w", err), rows.Close())
		}
		_, leaf, err := rows.entry(e.N)
		if err != nil {
			return errors.Join(err, rows.Close())
		}
		if !bytes.Equal(leaf, buf.Bytes()) {
			mismatch := &MismatchError{e.N, bytes.Clone(leaf), bytes.Clone(buf.Bytes())}
			return errors.Join(mismatch, rows.Close())
		}
	}
	return rows.Close()
}
