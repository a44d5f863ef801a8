package tiers

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"
)

// PoolSize is how many peers gossip in a mesh of n: all of a small one, but
// never fewer than least, and the square root of twice their number in a large
// one, so that those who hold and those who are held grow alike.
func PoolSize(n, least int) int {
	return max(least, int(math.Ceil(math.Sqrt(2*float64(n)))))
}

// A Verdict is what a peer is told that asks for a place.
type Verdict uint64

// The verdicts.
const (
	InPool    Verdict = 1 // gossip with us
	Held      Verdict = 2 // you are attached here
	Elsewhere Verdict = 3 // ask one of the others that are named
	Unknown   Verdict = 4 // say who you are first
)

// A Scene is what is known when a peer asks for a place.
type Scene struct {
	Pooled bool // the one asked gossips
	Hidden bool // others cannot reach it without help

	AskerHidden bool

	Pool  int // alive peers that gossip, the one asked among them
	Open  int // those of them that are not hidden
	Ahead int // attached peers that are not hidden and come before the asker, if a place becomes free
	Want  int // PoolSize
	Full  bool
}

// Judge says where a peer belongs. Those that are hidden gossip only where
// nobody could hold them.
func Judge(s Scene) Verdict {
	switch {
	case !s.Pooled:
		return Elsewhere
	case s.Open == 0, !s.AskerHidden && s.Pool+s.Ahead < s.Want:
		return InPool
	case s.Hidden || s.Full:
		return Elsewhere
	}
	return Held
}

// Surplus reports whether a peer of the pool should rather be attached: it is
// hidden while others are not, or half as many again gossip as should, and it
// is of the last. Rank is its place among them.
func Surplus(hidden bool, open, rank, want int) bool {
	return hidden && open > 0 || rank >= want+want/2
}

// Rank is the place of a peer among others: everybody agrees on it, and
// nobody chose it.
func Rank(self string, others []string) int {
	rank := 0
	for _, o := range others {
		if before(o, self) {
			rank++
		}
	}
	return rank
}

// before reports whether a takes a free place before b does.
func before(a, b string) bool {
	return cmp.Or(cmp.Compare(weight(a), weight(b)), cmp.Compare(a, b)) < 0
}

// Order sorts those who may hold a peer: differently for each, so that the
// load is spread, and always alike, so that it finds the same again.
func Order(self string, candidates []string) []string {
	return slices.SortedFunc(slices.Values(candidates), func(a, b string) int {
		return cmp.Or(cmp.Compare(weight(self, a), weight(self, b)), cmp.Compare(a, b))
	})
}

func weight(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		_, _ = h.Write([]byte(p)) // never fails
		_, _ = h.Write([]byte{0})
	}
	x := h.Sum64() // its last bytes hardly reach the highest bits: mix
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	return x ^ x>>32
}
