package journal

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// A MissingError says that entries are not here yet: they came before the
// snapshot that this peer began with. [Journal.Fill] brings them.
type MissingError struct{ From, To uint64 }

func (e *MissingError) Error() string {
	return fmt.Sprintf("entries %d to %d are not here yet", e.From, e.To-1)
}

// rows iterates over rows with a number at the end of their keys.
type rows struct {
	*pebble.Iterator
	begun bool
}

// rows begins to iterate over a numbered kind of row.
func (j *Journal) rows(kind byte, from uint64) (*rows, error) {
	iter, err := j.db.NewIter(&pebble.IterOptions{
		LowerBound: numberKey(kind, from),
		UpperBound: []byte{kind + 1},
	})
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return &rows{Iterator: iter}, nil
}

// next steps to the next row, or to the first.
func (r *rows) next() bool {
	if !r.begun {
		r.begun = true
		return r.First()
	}
	return r.Next()
}

// entry reads the next row, which must be that of entry n. The bytes are
// valid until the next step.
func (r *rows) entry(n uint64) (hashes, leaf []byte, err error) {
	if !r.next() {
		return nil, nil, &DamageError{n, "cannot be read", cmpErr(r.Error(), errNoRow)}
	}
	if key := r.Key(); len(key) != 1+8 || numberOf(key) != n {
		return nil, nil, &DamageError{n, "is missing", nil}
	}
	value, err := r.ValueAndErr()
	if err != nil {
		return nil, nil, &DamageError{n, "cannot be read", err}
	}
	hashes, leaf, ok := splitRow(n, value)
	if !ok {
		return nil, nil, &DamageError{n, "is cut short", nil}
	}
	return hashes, leaf, nil
}

var errNoRow = errors.New("no such row")

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// get reads one row into dst.
func (j *Journal) get(dst, key []byte) ([]byte, error) {
	value, closer, err := j.db.Get(key)
	if err != nil {
		return dst, err
	}
	dst = append(dst, value...)
	return dst, closer.Close()
}

// set writes one row and makes it, and all that was written before it,
// durable.
func (j *Journal) set(key, value []byte) error {
	return j.write(func() error { return j.db.Set(key, value, pebble.Sync) })
}
