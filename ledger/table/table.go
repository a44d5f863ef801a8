// Package table keeps rows in order, with indexes, and copies them for free.
//
// A [Table] maps keys to rows. An [Index] finds the keys of rows by
// something else that they hold. Both are persistent B-trees: Copy takes
// constant time whatever the size, and from then on the original and the
// copy change independently, so a reader may keep a copy for as long as it
// likes while a writer goes on. Iteration is in key order, always: nothing
// that is computed from a table depends on the order in which it was filled.
//
// # Concurrency
//
// A table has no lock. One goroutine may change it; others must read copies.
// A copy that nobody changes may be read by any number of goroutines.
package table

import (
	"iter"

	"github.com/tidwall/btree"
)

// A Table maps keys to rows, in key order. Use [New].
type Table[K, V any] struct {
	tree    *btree.BTreeG[entry[K, V]]
	compare func(a, b K) int
}

type entry[K, V any] struct {
	key K
	row V
}

// New returns an empty table ordered by compare.
func New[K, V any](compare func(a, b K) int) Table[K, V] {
	less := func(a, b entry[K, V]) bool { return compare(a.key, b.key) < 0 }
	return Table[K, V]{btree.NewBTreeGOptions(less, btree.Options{NoLocks: true, Degree: degree}), compare}
}

// degree is the least number of children of a node. The first change after a
// copy copies the nodes on its way, so they are smaller than what would read
// fastest: measured, entries of one command cost a third less than at the
// library's 32, and large ones no more.
const degree = 12

// Copy returns a table with the same rows. It takes constant time.
func (t *Table[K, V]) Copy() Table[K, V] { return Table[K, V]{t.tree.Copy(), t.compare} }

// Len returns the number of rows.
func (t *Table[K, V]) Len() int { return t.tree.Len() }

// Get returns the row of key.
func (t *Table[K, V]) Get(key K) (V, bool) {
	e, ok := t.tree.Get(entry[K, V]{key: key})
	return e.row, ok
}

// Set puts row at key and returns the row that it replaces.
func (t *Table[K, V]) Set(key K, row V) (old V, replaced bool) {
	e, replaced := t.tree.Set(entry[K, V]{key, row})
	return e.row, replaced
}

// Delete removes the row of key and returns it.
func (t *Table[K, V]) Delete(key K) (old V, deleted bool) {
	e, deleted := t.tree.Delete(entry[K, V]{key: key})
	return e.row, deleted
}

// Min returns the first row.
func (t *Table[K, V]) Min() (K, V, bool) {
	e, ok := t.tree.Min()
	return e.key, e.row, ok
}

// All iterates over the rows in key order. The table must not change
// meanwhile; iterate over a copy if it might.
func (t *Table[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		t.tree.Scan(func(e entry[K, V]) bool { return yield(e.key, e.row) })
	}
}

// From iterates as All does, beginning at the first key that is not less
// than key.
func (t *Table[K, V]) From(key K) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		t.tree.Ascend(entry[K, V]{key: key}, func(e entry[K, V]) bool { return yield(e.key, e.row) })
	}
}

// Down iterates from the last row to the first.
func (t *Table[K, V]) Down() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		t.tree.Reverse(func(e entry[K, V]) bool { return yield(e.key, e.row) })
	}
}
