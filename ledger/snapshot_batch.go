package ledger

import "bytes"

// A loaded row of a snapshot is being stored.
type loaded struct {
	data  []byte // its bytes; nil if there is a row
	row   stored // of a cold table
	sum   Hash   // of that
	twice bool   // another row was there already
}

// A batch is rows of one table on their way from a snapshot into a state: read
// beside others, then stored in order. It is used again and again.
type batch interface {
	// read prepares for being stored what can be prepared. The values are read
	// until they are stored.
	read(k *skimmer, values [][]byte) (failed int, err error)

	// store stores row n. It reports whether one with that key was there.
	store(s *State, n int) (twice bool)
}

type batchOf[V any] struct {
	rows *rows[V]
	set  func(V)

	values []V
	data   [][]byte
	cold   []coldRow[V]
	sums   []Hash
	now    loaded
}

func (b *batchOf[V]) read(k *skimmer, values [][]byte) (int, error) {
	b.values, b.data = append(b.values[:0], make([]V, len(values))...), values
	if b.rows.cold == nil {
		for n, data := range values {
			if err := decode(data, &b.values[n]); err != nil {
				return n, err
			}
			if err := checkRow(&b.values[n]); err != nil {
				return n, err
			}
		}
		return 0, nil
	}
	b.cold, b.sums = make([]coldRow[V], len(values)), append(b.sums[:0], make([]Hash, len(values))...)
	for n, data := range values {
		v := &b.values[n]
		if !skim(k, b.rows.cold.shape, data, v) {
			*v = *new(V)
			if err := decode(data, v); err != nil {
				return n, err
			}
		}
		r := &b.cold[n]
		r.data = string(data)
		b.sums[n] = r.hash(b.rows.id, b.rows.cold.key(*v))
	}
	return 0, nil
}

func (b *batchOf[V]) store(s *State, n int) bool {
	b.now = loaded{data: b.data[n]}
	if b.rows.cold != nil {
		b.now = loaded{row: &b.cold[n], sum: b.sums[n]}
	}
	s.loading = &b.now
	b.set(b.values[n])
	s.loading = nil
	return b.now.twice
}

// A run is rows of a block that follow one another, all of one table.
type run struct {
	table  Table
	batch  batch
	values [][]byte
}

// runsOf splits a block at the bounds of its tables, which are few: a table's
// rows come together.
func runsOf(records []Record) (runs []run) {
	for _, r := range records {
		if n := len(runs); n == 0 || runs[n-1].table != r.Table {
			runs = append(runs, run{table: r.Table})
		}
		last := &runs[len(runs)-1]
		last.values = append(last.values, r.Value)
	}
	return runs
}

// recordsOf reads what almost every block is: records, and nothing else. What
// it returns lies in data. If it returns false the block must be decoded.
func recordsOf(data []byte) (records []Record, ok bool) {
	data, ok = bytes.CutPrefix(data, []byte{majorMap<<5 | 1, 1})
	major, n, rest, ok2 := head(data)
	if !ok || !ok2 || major != majorList || n > uint64(len(rest)) || n > maxElements {
		return nil, false
	}
	records = make([]Record, n)
	for i := range records {
		r := &records[i]
		if rest, ok = bytes.CutPrefix(rest, []byte{majorList<<5 | 3}); !ok {
			return nil, false
		}
		major, table, after, ok := head(rest)
		if !ok || major != majorUint || table > 255 {
			return nil, false
		}
		r.Table = Table(table)
		if rest, ok = bytes.CutPrefix(after, noKey); !ok {
			return nil, false
		}
		if r.Value, rest, ok = body(rest, majorBytes); !ok {
			return nil, false
		}
	}
	return records, len(rest) == 0
}

// noKey is the key of a record that is not deleted.
var noKey = mustEncode(Key{})
