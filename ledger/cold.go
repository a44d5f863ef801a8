package ledger

import (
	"sync/atomic" //nolint:depguard // readers share rows that are forgotten as values meanwhile
)

// A mesh has a million instances, of which few change at a time. Rows of the
// tables that grow with them are kept as they are encoded, which takes a sixth
// of the memory, and as values besides for as long as they were changed
// lately.

// What the indexes of the cold tables need: all that setInstance and setCharge
// look at.
var (
	coldInstances = cold[Instance]{Instance.key, shapeOf[Instance]("ID", "Account", "Reference", "ReleaseName", "Shared", "State",
		"Computer", "Partition", "Address", "Needs", "Parent", "Root", "Host", "Scope", "Kept", "Moved")}
	coldCharges = cold[Charge]{Charge.key, shapeOf[Charge]("Instance", "Payer", "Owner", "Publisher", "Former", "Host")}
)

// hotRows is how many rows are kept as values besides.
const hotRows = 1 << 13

// A coldRow is a row in its one byte form. It may be shared with readers.
type coldRow[V any] struct {
	data  string
	value atomic.Pointer[V] // nil if it has not changed for a while
}

// hash computes the hash anew: it would take as much memory as a part of data.
func (r *coldRow[V]) hash(id Table, k Key) Hash { return hashOf(id, k, r.data) }

// get returns what the row holds.
func (r *coldRow[V]) get() V {
	if v := r.value.Load(); v != nil {
		return *v
	}
	var v V
	if err := decode([]byte(r.data), &v); err != nil {
		panic("ledger: " + err.Error()) // we encoded it, or decoded it once
	}
	return v
}

func (r *coldRow[V]) cool() { r.value.Store(nil) }

// A hotSet is the rows that were changed last, in a ring. It belongs to who
// changes the state: copies have their own.
type hotSet struct {
	ring []interface{ cool() }
	next int
}

func (h *hotSet) add(r interface{ cool() }) {
	if h.ring == nil {
		h.ring = make([]interface{ cool() }, hotRows)
	}
	if old := h.ring[h.next]; old != nil {
		old.cool()
	}
	h.ring[h.next] = r
	h.next = (h.next + 1) % hotRows
}
