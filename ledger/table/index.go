package table

import "iter"

// An Index finds the keys of rows by something that the rows hold: it is an
// ordered set of (by, key) pairs. Whoever changes the table changes its
// indexes too. Use [NewIndex].
type Index[B, K any] struct {
	pairs Table[pair[B, K], struct{}]
	by    func(a, b B) int
}

type pair[B, K any] struct {
	by    B
	key   K
	first bool // sorts before every key; never stored
}

// NewIndex returns an empty index, ordered by what rows hold and then by key.
func NewIndex[B, K any](by func(a, b B) int, key func(a, b K) int) Index[B, K] {
	return Index[B, K]{
		by: by,
		pairs: New[pair[B, K], struct{}](func(a, b pair[B, K]) int {
			if c := by(a.by, b.by); c != 0 {
				return c
			}
			switch {
			case a.first && b.first:
				return 0
			case a.first:
				return -1
			case b.first:
				return 1
			}
			return key(a.key, b.key)
		}),
	}
}

// Copy returns an index with the same pairs. It takes constant time.
func (x *Index[B, K]) Copy() Index[B, K] { return Index[B, K]{x.pairs.Copy(), x.by} }

// Len returns the number of pairs.
func (x *Index[B, K]) Len() int { return x.pairs.Len() }

// Add records that the row of key holds by.
func (x *Index[B, K]) Add(by B, key K) { x.pairs.Set(pair[B, K]{by: by, key: key}, struct{}{}) }

// Remove forgets that the row of key holds by.
func (x *Index[B, K]) Remove(by B, key K) { x.pairs.Delete(pair[B, K]{by: by, key: key}) }

// Keys iterates over the keys of the rows that hold by, in key order.
func (x *Index[B, K]) Keys(by B) iter.Seq[K] {
	return func(yield func(K) bool) {
		for p := range x.pairs.From(pair[B, K]{by: by, first: true}) {
			if x.by(p.by, by) != 0 || !yield(p.key) {
				return
			}
		}
	}
}

// First returns the first of the keys that Keys would give.
func (x *Index[B, K]) First(by B) (key K, ok bool) {
	for key := range x.Keys(by) {
		return key, true
	}
	return key, false
}
