package journal

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Bounds on a [Chunk].
const (
	MaxChunkLeaves = 1 << 10
	MaxChunkBytes  = 1 << 20 // of leaves, but one leaf always fits
)

// A gap is history that this peer does not have yet, because it began with a
// snapshot. It is never changed, only replaced.
type gap struct {
	From uint64   `cbor:"1,keyasint"` // the first that is missing
	To   Frontier `cbor:"2,keyasint"` // the trusted tree at its end
}

func (g *gap) covers(n uint64) bool { return g != nil && g.From <= n && n < g.To.Size }

// A DivergedError says that our history is not the one that the ledger's
// snapshot carries. A voter that sees this must stop.
type DivergedError struct {
	Size       uint64
	Have, Want Hash
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("restore: the tree of %d entries has root %s here, and %s in the snapshot", e.Size, e.Have, e.Want)
}

// Restore goes on from the frontier that a snapshot of the ledger carries.
// Entries that are here already must be of that history, or the answer is a
// [DivergedError]. Entries that are not here are missing from now on until
// [Journal.Fill] brought them; appending goes on meanwhile. What Restore did
// is durable when it returns.
func (j *Journal) Restore(f Frontier) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.usable(); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if f.Size <= j.head.Size {
		root, err := tree{j, j.head, j.gap}.root(f.Size)
		if err != nil {
			return fmt.Errorf("restore: %w", err)
		}
		if root != f.Root() {
			return &DivergedError{f.Size, root, f.Root()}
		}
		return nil
	}
	g := &gap{From: j.head.Size, To: f.clone()}
	if j.gap != nil {
		g.From = j.gap.From // what lies between is fetched again
	}
	value, err := encoding.Marshal(g)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := j.set([]byte(gapKey), value); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	j.gap, j.head = g, f.clone()
	j.size.Store(f.Size)
	return nil
}

// Missing says which entries are not here: from one to before another. None
// are if from equals to.
func (j *Journal) Missing() (from, to uint64) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.gap == nil {
		return 0, 0
	}
	return j.gap.From, j.gap.To.Size
}

// A Chunk is a run of entries with the proof that a tree holds them, as one
// peer sends it to another.
type Chunk struct {
	From   uint64   `cbor:"1,keyasint"`
	Leaves [][]byte `cbor:"2,keyasint"`

	// Before is the root of the tree that the leaves continue. BeforeProof
	// says that the larger tree begins with it, so that who has another one
	// learns that the fault is its own.
	Before      Hash   `cbor:"3,keyasint"`
	BeforeProof []Hash `cbor:"4,keyasint,omitempty"`

	// Proof says that the larger tree begins with the one that the leaves
	// make, behind those before them.
	Proof []Hash `cbor:"5,keyasint,omitempty"`
}

// Chunk returns entries from a number on, as many as a chunk may hold, and
// proves them to the tree of size to.
func (j *Journal) Chunk(from, to uint64) (Chunk, error) {
	t := j.tree()
	if from >= to || to > t.head.Size {
		return Chunk{}, fmt.Errorf("chunk %d to %d: the journal has %d entries", from, to, t.head.Size)
	}
	c := Chunk{From: from}
	total := 0
	for row, err := range j.leaves(Query{From: from, Limit: int(min(to-from, MaxChunkLeaves))}) {
		if _, ok := errors.AsType[*MissingError](err); ok && len(c.Leaves) > 0 {
			break
		}
		if err != nil {
			return Chunk{}, fmt.Errorf("chunk from %d: %w", from, err)
		}
		if total += len(row.leaf); total > MaxChunkBytes && len(c.Leaves) > 0 {
			break
		}
		c.Leaves = append(c.Leaves, append([]byte(nil), row.leaf...))
	}
	var errs [3]error
	c.Before, errs[0] = t.root(from)
	c.BeforeProof, errs[1] = t.proveConsistency(from, to)
	c.Proof, errs[2] = t.proveConsistency(from+uint64(len(c.Leaves)), to)
	if err := errors.Join(errs[:]...); err != nil {
		return Chunk{}, fmt.Errorf("chunk from %d: %w", from, err)
	}
	return c, nil
}

// Encode returns the byte form of c.
func (c Chunk) Encode() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return encoding.Marshal(c)
}

// ParseChunk reads what [Chunk.Encode] wrote. What it says is not checked.
func ParseChunk(data []byte) (Chunk, error) {
	var c Chunk
	if len(data) > MaxChunkBytes+MaxLeaf+MaxChunkLeaves*4+4096 {
		return c, errors.New("chunk: too long")
	}
	if err := decoding.Unmarshal(data, &c); err != nil {
		return Chunk{}, fmt.Errorf("chunk: %w", err)
	}
	return c, c.check()
}

func (c Chunk) check() error {
	switch {
	case len(c.Leaves) == 0 || len(c.Leaves) > MaxChunkLeaves:
		return fmt.Errorf("chunk of %d entries: from 1 to %d", len(c.Leaves), MaxChunkLeaves)
	case len(c.Proof) > 64 || len(c.BeforeProof) > 64:
		return errors.New("chunk: a proof has at most 64 hashes")
	case c.From > maxSize:
		return fmt.Errorf("chunk from %d: too large", c.From)
	}
	return nil
}

// Fill adds missing entries that a peer sent, and returns the first that is
// still missing. The peer need not be trusted: nothing is written unless the
// proof leads to the tree that [Journal.Restore] was given. So what is
// written counts, and filling goes on where it was after any crash. A
// [DivergedError] means that what is here already is of another history.
func (j *Journal) Fill(c Chunk) (next uint64, err error) {
	j.filling.Lock()
	defer j.filling.Unlock()
	t := j.tree()
	g := t.gap
	if g == nil {
		return t.head.Size, errors.New("fill: nothing is missing")
	}
	if err := j.usable(); err != nil {
		return g.From, fmt.Errorf("fill: %w", err)
	}
	if err := c.check(); err != nil {
		return g.From, fmt.Errorf("fill: %w", err)
	}
	end := c.From + uint64(len(c.Leaves))
	if c.From != g.From || end > g.To.Size {
		return g.From, fmt.Errorf("fill %d to %d: missing are %d to %d", c.From, end, g.From, g.To.Size)
	}
	batch := j.db.NewBatch()
	defer func() { _ = batch.Close() }()
	if err := t.addChunk(batch, c); err != nil {
		return g.From, fmt.Errorf("fill: %w", err)
	}
	return j.commitFill(batch, g, end)
}

// addChunk puts the rows of a chunk into a batch if its proof holds.
func (t tree) addChunk(batch *pebble.Batch, c Chunk) error {
	head, err := t.edge(c.From)
	if err != nil {
		return err
	}
	want, wantRoot := t.gap.To.Size, t.gap.To.Root()
	if have := head.Root(); have != c.Before {
		err := VerifyConsistency(c.BeforeProof, c.From, c.Before, want, wantRoot)
		if err == nil {
			err = &DivergedError{c.From, have, c.Before}
		}
		return err
	}
	var w writer
	for i, leaf := range c.Leaves {
		e, err := ParseLeaf(leaf)
		if err != nil {
			return fmt.Errorf("entry %d: %w", c.From+uint64(i), err)
		}
		if e.N != head.Size {
			return fmt.Errorf("entry %d: numbered %d", head.Size, e.N)
		}
		if err := w.add(batch, &head, &e); err != nil {
			return err
		}
	}
	if err := w.addIndexes(batch); err != nil {
		return err
	}
	return VerifyConsistency(c.Proof, head.Size, head.Root(), want, wantRoot)
}

// commitFill writes what was checked, unless the gap is another one by now.
func (j *Journal) commitFill(batch *pebble.Batch, g *gap, end uint64) (uint64, error) {
	var rest *gap
	if end < g.To.Size {
		rest = &gap{From: end, To: g.To}
		value, err := encoding.Marshal(rest)
		if err != nil {
			return g.From, fmt.Errorf("fill: %w", err)
		}
		if err := batch.Set([]byte(gapKey), value, nil); err != nil {
			return g.From, fmt.Errorf("fill: %w", err)
		}
	} else if err := batch.Delete([]byte(gapKey), nil); err != nil {
		return g.From, fmt.Errorf("fill: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.gap != g {
		return g.From, errors.New("fill: a newer snapshot was restored meanwhile: ask again")
	}
	if err := j.write(func() error { return batch.Commit(pebble.NoSync) }); err != nil {
		return g.From, fmt.Errorf("fill: %w", err)
	}
	j.gap = rest
	return end, nil
}
