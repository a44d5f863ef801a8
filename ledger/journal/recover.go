package journal

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// gapKey names the row that holds the gap, while there is one.
const gapKey = string(rowMeta) + "gap"

// recover finds out where the journal ends. Nothing has to be mended: what
// was appended together is there together or not at all.
func (j *Journal) recover() error {
	value, err := j.get(nil, []byte(gapKey))
	switch {
	case errors.Is(err, pebble.ErrNotFound):
	case err != nil:
		return err
	default:
		j.gap = new(gap)
		if err := decoding.Unmarshal(value, j.gap); err != nil {
			return fmt.Errorf("gap: %w", err)
		}
		if err := j.gap.To.check(); err != nil {
			return fmt.Errorf("gap: %w", err)
		}
	}
	size, err := j.lastRow()
	if err != nil {
		return err
	}
	if j.gap != nil {
		size = max(size, j.gap.To.Size)
	}
	j.size.Store(size)
	j.synced.Store(size) // what a crash left is durable
	at := tree{j, Frontier{Size: size}, j.gap}
	j.head, err = at.edge(size)
	return err
}

// lastRow returns how many entries the rows say there are.
func (j *Journal) lastRow() (uint64, error) {
	r, err := j.rows(rowEntry, 0)
	if err != nil {
		return 0, err
	}
	if !r.Last() {
		return 0, errors.Join(r.Error(), r.Close())
	}
	return numberOf(r.Key()) + 1, r.Close()
}
