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
type Table[K, V any] struct{ tree tree[K, V] }

// tree keeps the instance of the B-tree out of the type of a table: the
// compiler makes it anew, with all its methods, in every package that uses a
// type which holds one. A call through an interface costs next to nothing
// beside that.
type tree[K, V any] interface {
	copy() tree[K, V]
	len() int
	get(key K) (V, bool)
	set(key K, row V) (V, bool)
	load(key K, row V) (V, bool)
	remove(key K) (V, bool)
	min() (K, V, bool)
	up(from *K, yield func(K, V) bool)
	down(yield func(K, V) bool)
}

// New returns an empty table ordered by compare.
func New[K, V any](compare func(a, b K) int) Table[K, V] {
	less := func(a, b entry[K, V]) bool { return compare(a.key, b.key) < 0 }
	return Table[K, V]{&sorted[K, V]{btree.NewBTreeGOptions(less, btree.Options{NoLocks: true, Degree: degree})}}
}

// degree is the least number of children of a node. The first change after a
// copy copies the nodes on its way, so they are smaller than what would read
// fastest: measured, entries of one command cost a third less than at the
// library's 32, and large ones no more.
const degree = 12

// Copy returns a table with the same rows. It takes constant time.
func (t *Table[K, V]) Copy() Table[K, V] { return Table[K, V]{t.tree.copy()} }

// Len returns the number of rows.
func (t *Table[K, V]) Len() int { return t.tree.len() }

// Get returns the row of key.
func (t *Table[K, V]) Get(key K) (V, bool) { return t.tree.get(key) }

// Set puts row at key and returns the row that it replaces.
func (t *Table[K, V]) Set(key K, row V) (old V, replaced bool) { return t.tree.set(key, row) }

// Load is Set, faster and in less memory for keys that come in order.
func (t *Table[K, V]) Load(key K, row V) (old V, replaced bool) { return t.tree.load(key, row) }

// Delete removes the row of key and returns it.
func (t *Table[K, V]) Delete(key K) (old V, deleted bool) { return t.tree.remove(key) }

// Min returns the first row.
func (t *Table[K, V]) Min() (K, V, bool) { return t.tree.min() }

// All iterates over the rows in key order. The table must not change
// meanwhile; iterate over a copy if it might.
func (t *Table[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { t.tree.up(nil, yield) }
}

// From iterates as All does, beginning at the first key that is not less
// than key.
func (t *Table[K, V]) From(key K) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { t.tree.up(&key, yield) }
}

// Down iterates from the last row to the first.
func (t *Table[K, V]) Down() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { t.tree.down(yield) }
}

// sorted is the tree.
type sorted[K, V any] struct{ rows *btree.BTreeG[entry[K, V]] }

type entry[K, V any] struct {
	key K
	row V
}

func (s *sorted[K, V]) copy() tree[K, V] { return &sorted[K, V]{s.rows.Copy()} }

func (s *sorted[K, V]) len() int { return s.rows.Len() }

func (s *sorted[K, V]) get(key K) (V, bool) {
	e, ok := s.rows.Get(entry[K, V]{key: key})
	return e.row, ok
}

func (s *sorted[K, V]) set(key K, row V) (V, bool) {
	e, replaced := s.rows.Set(entry[K, V]{key, row})
	return e.row, replaced
}

func (s *sorted[K, V]) load(key K, row V) (V, bool) {
	e, replaced := s.rows.Load(entry[K, V]{key, row})
	return e.row, replaced
}

func (s *sorted[K, V]) remove(key K) (V, bool) {
	e, deleted := s.rows.Delete(entry[K, V]{key: key})
	return e.row, deleted
}

func (s *sorted[K, V]) min() (K, V, bool) {
	e, ok := s.rows.Min()
	return e.key, e.row, ok
}

func (s *sorted[K, V]) up(from *K, yield func(K, V) bool) {
	step := func(e entry[K, V]) bool { return yield(e.key, e.row) }
	if from == nil {
		s.rows.Scan(step)
		return
	}
	s.rows.Ascend(entry[K, V]{key: *from}, step)
}

func (s *sorted[K, V]) down(yield func(K, V) bool) {
	s.rows.Reverse(func(e entry[K, V]) bool { return yield(e.key, e.row) })
}
