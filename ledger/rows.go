package ledger

import (
	"cmp"
	"iter"
	"strings"

	"github.com/slapmesh/slapmesh/ledger/table"
)

// A Table numbers a kind of row. The numbers are in snapshots and on the
// wire: a number is never used again for something else.
type Table uint8

// The tables.
const (
	tableMesh      Table = 1
	tableAccounts  Table = 2
	tablePeers     Table = 3
	tableTokens    Table = 4
	tableComputers Table = 5
	tableGaps      Table = 6
	tableReleases  Table = 7
	tableNamings   Table = 8
	tableProfiles  Table = 9
	tableSupplies  Table = 10
	tableInstances Table = 11
	tableGraves    Table = 12
	tableReturned  Table = 13
	tableEvents    Table = 14
	tableWallets   Table = 15
	tablePrices    Table = 16
	tableCharges   Table = 17
	tableMeters    Table = 18
	tableHeld      Table = 19
	tablePayments  Table = 20
	tablePaidAt    Table = 21
	tableMembers   Table = 22
	tableSecrets   Table = 45
	tableRefusals  Table = 46

	tableApplicants Table = 60
)

// A Key is the key of a row in any table; each uses the parts it needs.
type Key struct {
	_    struct{} `cbor:",toarray"`
	A, B string
	N    uint64
}

// Compare orders keys by A, then B, then N.
func (k Key) Compare(l Key) int {
	if c := strings.Compare(k.A, l.A); c != 0 {
		return c
	}
	if c := strings.Compare(k.B, l.B); c != 0 {
		return c
	}
	return cmp.Compare(k.N, l.N)
}

// number and numberKey are for tables whose keys are numbers.
func (k Key) number() uint64 { return k.N }

func numberKey(n uint64) Key { return Key{N: n} }

// A Change says that a row was put or deleted, and whose it is, so that
// those whom it concerns can be told.
type Change struct {
	Table    Table
	Key      Key
	Account  AccountName // whose; "" is everyone's
	Computer ComputerID  // whose; "" is everyone's
}

// rows is a table of the state. Rows are immutable: a change puts a new one.
// All tables have the same type below, whatever they hold: the compiler makes
// every instance of a tree anew, in each package that uses a State.
type rows[V any] struct {
	id   Table
	cold *cold[V] // nil, or rows are kept encoded: see coldRow
	tree table.Table[Key, stored]
}

// cold is what a table knows of rows that are kept encoded.
type cold[V any] struct {
	key   func(V) Key
	shape *shape // what the indexes need of them
}

// stored is a *row[V] or a *coldRow[V].
type stored interface{ hash(id Table, k Key) Hash }

type row[V any] struct {
	value V
	sum   Hash
}

func (r *row[V]) hash(Table, Key) Hash { return r.sum }

// valueOf returns what a row of rows[V] holds.
func valueOf[V any](r stored) (v V) {
	switch r := r.(type) {
	case *row[V]:
		return r.value
	case *coldRow[V]:
		return r.get()
	}
	return v // there was no row
}

func newRows[V any](id Table) rows[V] {
	return rows[V]{id: id, tree: table.New[Key, stored](Key.Compare)}
}

// newColdRows makes a table whose keys are numbers.
func newColdRows[V any](id Table, c *cold[V]) rows[V] {
	return rows[V]{id: id, cold: c, tree: table.NewDense[Key, stored](Key.number, numberKey)}
}

// first returns the row with the lowest key.
func (t *rows[V]) first() (k Key, v V, ok bool) {
	k, r, ok := t.tree.Min()
	return k, valueOf[V](r), ok
}

// from iterates over the rows from a key on.
func (t *rows[V]) from(k Key) iter.Seq2[Key, V] {
	return func(yield func(Key, V) bool) {
		for k, r := range t.tree.From(k) {
			if !yield(k, valueOf[V](r)) {
				return
			}
		}
	}
}

func (t *rows[V]) copy() rows[V] { return rows[V]{t.id, t.cold, t.tree.Copy()} }

func (t *rows[V]) len() int { return t.tree.Len() }

func (t *rows[V]) get(k Key) (v V, ok bool) {
	r, ok := t.tree.Get(k)
	return valueOf[V](r), ok
}

func (t *rows[V]) all() iter.Seq2[Key, V] {
	return func(yield func(Key, V) bool) {
		for k, r := range t.tree.All() {
			if !yield(k, valueOf[V](r)) {
				return
			}
		}
	}
}

// within iterates over the rows whose key begins with a (all parts of keys
// that follow it are free).
func (t *rows[V]) within(a string) iter.Seq2[Key, V] {
	return func(yield func(Key, V) bool) {
		for k, v := range t.from(Key{A: a}) {
			if k.A != a || !yield(k, v) {
				return
			}
		}
	}
}

// values iterates over the values of rows.
func values[V any](rows iter.Seq2[Key, V]) iter.Seq[V] {
	return func(yield func(V) bool) {
		for _, v := range rows {
			if !yield(v) {
				return
			}
		}
	}
}

// encoded iterates over the rows in their byte form.
func (t *rows[V]) encoded(yield func(k Key, data []byte) bool) {
	for k, r := range t.tree.All() {
		var data []byte
		if cold, ok := r.(*coldRow[V]); ok {
			data = []byte(cold.data)
		} else {
			data = mustEncode(valueOf[V](r))
		}
		if !yield(k, data) {
			return
		}
	}
}

// put stores v at k, keeps the hash of s, and notes the change.
func put[V any](s *State, t *rows[V], k Key, v V) (old V, replaced bool) {
	r, sum := newRow(s, t, k, v)
	var was stored
	if s.loading != nil {
		was, replaced = t.tree.Load(k, r)
		s.loading.twice = replaced
	} else {
		was, replaced = t.tree.Set(k, r)
		s.note(t.id, k, v)
	}
	if replaced {
		old = valueOf[V](was)
		s.sum.remove(was.hash(t.id, k))
	}
	s.sum.add(sum)
	s.traced(sum)
	return old, replaced
}

func newRow[V any](s *State, t *rows[V], k Key, v V) (stored, Hash) {
	switch {
	case s.partial: // the hash of a slice would mean nothing
		return &row[V]{value: v}, Hash{}
	case t.cold == nil:
		var data []byte
		if s.loading != nil {
			data = s.loading.data
		}
		sum := hashRow(t.id, k, v, data)
		return &row[V]{v, sum}, sum
	case s.loading != nil:
		return s.loading.row, s.loading.sum
	}
	r := newHotRow(s, v)
	return r, r.hash(t.id, k)
}

// newHotRow has v on the heap, which newRow spares the rows of a snapshot.
//
//go:noinline
func newHotRow[V any](s *State, v V) *coldRow[V] {
	r := &coldRow[V]{data: string(mustEncode(v))}
	r.value.Store(&v)
	s.hot.add(r)
	return r
}

// drop removes the row at k.
func drop[V any](s *State, t *rows[V], k Key) (old V, deleted bool) {
	was, deleted := t.tree.Delete(k)
	if !deleted {
		return old, false
	}
	old = valueOf[V](was)
	sum := was.hash(t.id, k)
	s.sum.remove(sum)
	s.traced(sum)
	s.note(t.id, k, old)
	return old, true
}

// note remembers that the row of v changed.
func (s *State) note(id Table, k Key, v any) {
	account, computer := s.owners(v)
	s.changes = append(s.changes, Change{id, k, account, computer})
}

// owners says whose the row v is. Nothing means everyone's.
func (s *State) owners(v any) (AccountName, ComputerID) {
	switch v := v.(type) {
	case Token:
		return v.Account, ""
	case Instance:
		return v.Account, v.Computer // and its requester's: see noteRequester
	case Supply:
		c, _ := s.Computer(v.Computer)
		return c.Account, v.Computer
	case Entry:
		return v.Account, v.Computer
	case Wallet:
		return v.Account, ""
	case Charge:
		return v.Payer, v.Computer
	case Meter:
		return "", v.Computer
	case Membership:
		return v.Account, ""
	}
	return "", ""
}
