package placement

import (
	"cmp"
	"slices"

	"github.com/slapmesh/slapmesh/ledger/table"
)

// A ranking keeps entries in an order, in blocks that know the most room, the
// least rates and so on of what is in them: a search passes over blocks in
// which nothing fits. It is copied as tables are.
type ranking struct {
	blocks  table.Table[*entry, *block] // by the last of each
	compare func(a, b *entry) int
}

// A block is a run of neighbours. It never changes.
type block struct {
	entries []*entry
	room    Resources // that of each is within it
	has     Resources // … so is its capacity
	least   Rates     // the rates of each are not below
	free    int       // … nor its free partitions above
	id      string    // … nor its id before
}

// Blocks are split above maxBlock and joined with the next below minBlock:
// large ones make a change dear, small ones a search.
const (
	maxBlock = 64
	minBlock = 16
)

// compareFree sorts those with more free partitions first.
func compareFree(a, b *entry) int {
	return cmp.Or(cmp.Compare(b.Free, a.Free), cmp.Compare(a.ID, b.ID))
}

// comparePacked sorts the fullest first.
func comparePacked(a, b *entry) int {
	return cmp.Or(cmp.Compare(b.load, a.load), cmp.Compare(a.Free, b.Free), cmp.Compare(a.ID, b.ID))
}

// comparePriced keeps those with the same rates together, those with more
// free partitions first.
func comparePriced(a, b *entry) int {
	return cmp.Or(
		cmp.Compare(a.Rates.Partition, b.Rates.Partition), cmp.Compare(a.Rates.Core, b.Rates.Core),
		cmp.Compare(a.Rates.Memory, b.Rates.Memory), cmp.Compare(a.Rates.Disk, b.Rates.Disk),
		cmp.Compare(b.Free, a.Free), cmp.Compare(a.ID, b.ID))
}

func newRanking(compare func(a, b *entry) int) ranking {
	return ranking{table.New[*entry, *block](compare), compare}
}

func (r *ranking) copied() ranking { return ranking{r.blocks.Copy(), r.compare} }

// find returns the block that holds e, or that e belongs into.
func (r *ranking) find(e *entry) *block {
	for _, b := range r.blocks.From(e) {
		return b
	}
	for _, b := range r.blocks.Down() {
		return b
	}
	return nil
}

// insert adds e, which must not be there.
func (r *ranking) insert(e *entry) {
	b := r.find(e)
	if b == nil {
		r.put([]*entry{e})
		return
	}
	at, _ := slices.BinarySearchFunc(b.entries, e, r.compare)
	entries := make([]*entry, 0, len(b.entries)+1)
	entries = append(append(append(entries, b.entries[:at]...), e), b.entries[at:]...)
	if at == len(b.entries) { // after all others
		r.blocks.Delete(b.last())
	}
	r.put(entries)
}

// remove drops e, which must be there.
func (r *ranking) remove(e *entry) {
	b := r.find(e)
	at, _ := slices.BinarySearchFunc(b.entries, e, r.compare)
	entries := append(make([]*entry, 0, len(b.entries)-1), b.entries[:at]...)
	entries = append(entries, b.entries[at+1:]...)
	if len(entries) >= minBlock && at < len(entries) {
		r.put(entries)
		return
	}
	r.blocks.Delete(b.last())
	for _, next := range r.blocks.From(e) {
		if len(entries) < minBlock && len(entries)+len(next.entries) <= maxBlock {
			entries = append(entries, next.entries...)
		}
		break
	}
	if len(entries) > 0 {
		r.put(entries)
	}
}

// put stores a block, or two if it is too large.
func (r *ranking) put(entries []*entry) {
	if half := len(entries) / 2; len(entries) > maxBlock {
		r.put(entries[:half:half])
		entries = entries[half:]
	}
	e := entries[0]
	b := &block{entries, e.room, e.has, e.Rates, e.Free, e.ID}
	for _, e := range entries[1:] {
		b.room, b.has, b.least = b.room.atLeast(e.room), b.has.atLeast(e.has), b.least.atMost(e.Rates)
		b.free, b.id = max(b.free, e.Free), min(b.id, e.ID)
	}
	r.blocks.Set(b.last(), b)
}

func (b *block) last() *entry { return b.entries[len(b.entries)-1] }
