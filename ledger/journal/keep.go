package journal

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/cockroachdb/pebble/v2"
)

// How many checkpoints are kept: the newest, and of the older ones the first
// behind every power of two.
const (
	keptNewest   = 64
	keptEvidence = 16
)

// A Prover asks whoever has the entries for the proof that the tree of size
// begins with that of old. What it returns is checked.
type Prover func(old, size uint64) ([]Hash, error)

// A Kept checkpoint is one that this peer saw.
type Kept struct {
	Text    []byte `cbor:"1,keyasint"` // the signed note
	Checked bool   `cbor:"2,keyasint"` // against entries of our own

	Checkpoint Checkpoint `cbor:"-"`
}

// A ContradictionError says that voters signed two histories of one mesh, or
// one that is not ours. Somebody cheats or a disk lies: whoever sees this
// must stop believing, and keep the evidence.
type ContradictionError struct {
	New  []byte `cbor:"1,keyasint"`           // the signed checkpoint that does not fit
	Kept []byte `cbor:"2,keyasint,omitempty"` // a signed one that it contradicts, if one is known
	Have Hash   `cbor:"3,keyasint"`           // the root that we have at the size of New
}

func (e *ContradictionError) Error() string {
	text := fmt.Sprintf("CONTRADICTION: a signed checkpoint is not of our history: we have root %s at its size; signed was:\n%s", e.Have, e.New)
	if e.Kept != nil {
		text += fmt.Sprintf("\nearlier this was signed:\n%s", e.Kept)
	}
	return text
}

// Keep remembers a checkpoint, after it was compared with every entry and
// every checkpoint that this peer has: the answer is a [ContradictionError]
// if they are not of one history, and the evidence is kept.
//
// What is ahead of our entries can be compared only with a proof. Without a
// prover it is kept unchecked, and compared once the entries are here, by
// the next Keep or [Journal.Verify]. A proof that does not hold is
// [ErrProof]: it shows nothing against the checkpoint but its messenger.
func (j *Journal) Keep(c Signed, prove Prover) error {
	j.keeping.Lock()
	defer j.keeping.Unlock()
	kept, err := j.Checkpoints()
	if err != nil {
		return err
	}
	t := j.tree()
	if err := j.recheck(t, kept); err != nil {
		return err
	}
	k := Kept{Text: c.Text(), Checkpoint: c.Checkpoint}
	if k.Checked, err = t.holds(c.Checkpoint); err != nil {
		return j.contradiction(err, k, kept)
	}
	for _, old := range kept {
		if old.Checkpoint.Size != c.Size {
			continue
		}
		if old.Checkpoint.Root != c.Root {
			return j.contradiction(&ContradictionError{Kept: old.Text, Have: old.Checkpoint.Root}, k, kept)
		}
		if len(old.Text) >= len(k.Text) { // it has as many signatures
			return nil
		}
	}
	if !k.Checked && prove != nil {
		if err := t.proveKept(k.Checkpoint, kept, prove); err != nil {
			return fmt.Errorf("keep checkpoint %d: %w", c.Size, err)
		}
	}
	return j.writeKept(k, kept)
}

// holds compares a checkpoint with our entries, if they reach as far.
func (t tree) holds(c Checkpoint) (bool, error) {
	if c.Size > t.head.Size {
		return false, nil
	}
	root, err := t.root(c.Size)
	if _, ok := errors.AsType[*MissingError](err); ok {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if root != c.Root {
		return false, &ContradictionError{Have: root}
	}
	return true, nil
}

// recheck compares the checkpoints that were ahead of our entries once.
func (j *Journal) recheck(t tree, kept []Kept) error {
	for i := range kept {
		k := &kept[i]
		if k.Checked {
			continue
		}
		var err error
		if k.Checked, err = t.holds(k.Checkpoint); err != nil {
			return j.contradiction(err, *k, kept)
		}
		if k.Checked {
			if err := j.putKept(*k); err != nil {
				return err
			}
		}
	}
	return nil
}

// proveKept checks the consistency of c with the nearest trees that we know
// below and above it. They are consistent with the others already.
func (t tree) proveKept(c Checkpoint, kept []Kept, prove Prover) error {
	below, above := Checkpoint{}, Checkpoint{}
	if t.head.Size <= c.Size {
		below.Size, below.Root = t.head.Size, t.head.Root()
	}
	for _, k := range kept {
		switch size := k.Checkpoint.Size; {
		case size < c.Size && size > below.Size:
			below = k.Checkpoint
		case size > c.Size && (above.Size == 0 || size < above.Size):
			above = k.Checkpoint
		}
	}
	if below.Size > 0 {
		if err := proved(prove, below, c); err != nil {
			return err
		}
	}
	if above.Size > 0 {
		return proved(prove, c, above)
	}
	return nil
}

func proved(prove Prover, old, c Checkpoint) error {
	proof, err := prove(old.Size, c.Size)
	if err != nil {
		return err
	}
	return VerifyConsistency(proof, old.Size, old.Root, c.Size, c.Root)
}

// contradiction completes the evidence and keeps it.
func (j *Journal) contradiction(err error, k Kept, kept []Kept) error {
	e, ok := errors.AsType[*ContradictionError](err)
	if !ok {
		return err
	}
	e.New = k.Text
	for i := 0; e.Kept == nil && i < len(kept); i++ {
		if kept[i].Checked && kept[i].Checkpoint.Size >= k.Checkpoint.Size {
			e.Kept = kept[i].Text // our entries lead from New's size to it
		}
	}
	evidence, readErr := j.Evidence()
	if readErr != nil {
		return errors.Join(e, readErr)
	}
	for _, old := range evidence {
		if string(old.New) == string(e.New) {
			return e
		}
	}
	if len(evidence) >= keptEvidence {
		return e
	}
	value, encErr := encoding.Marshal(e)
	if encErr != nil {
		return errors.Join(e, encErr)
	}
	if err := j.set(numberKey(rowEvidence, uint64(len(evidence))), value); err != nil {
		return errors.Join(e, err)
	}
	return e
}

// Checkpoints returns what is kept, by size.
func (j *Journal) Checkpoints() ([]Kept, error) {
	var kept []Kept
	err := j.eachRow(rowCheckpoint, func(n uint64, value []byte) error {
		var k Kept
		err := decoding.Unmarshal(value, &k)
		if err == nil {
			k.Checkpoint, err = claimed(k.Text)
		}
		if err != nil || k.Checkpoint.Size != n {
			return &DamageError{n, "the kept checkpoint of that size is damaged", err}
		}
		kept = append(kept, k)
		return nil
	})
	return kept, err
}

// Evidence returns the contradictions that this peer ever saw, the first 16.
func (j *Journal) Evidence() ([]ContradictionError, error) {
	var list []ContradictionError
	err := j.eachRow(rowEvidence, func(n uint64, value []byte) error {
		var e ContradictionError
		if err := decoding.Unmarshal(value, &e); err != nil {
			return fmt.Errorf("evidence %d: %w", n, err)
		}
		list = append(list, e)
		return nil
	})
	return list, err
}

// eachRow reads all rows of a numbered kind.
func (j *Journal) eachRow(kind byte, do func(n uint64, value []byte) error) error {
	r, err := j.rows(kind, 0)
	if err != nil {
		return err
	}
	for r.next() {
		value, err := r.ValueAndErr()
		if err == nil {
			err = do(numberOf(r.Key()), value)
		}
		if err != nil {
			return errors.Join(err, r.Close())
		}
	}
	return errors.Join(r.Error(), r.Close())
}

func (j *Journal) putKept(k Kept) error {
	value, err := encoding.Marshal(k)
	if err != nil {
		return err
	}
	if err := j.set(numberKey(rowCheckpoint, k.Checkpoint.Size), value); err != nil {
		return fmt.Errorf("keep checkpoint %d: %w", k.Checkpoint.Size, err)
	}
	return nil
}

// writeKept adds k and drops what need not be kept any more.
func (j *Journal) writeKept(k Kept, kept []Kept) error {
	if err := j.putKept(k); err != nil {
		return err
	}
	seen := make(map[int]bool) // powers of two that have their checkpoint
	for i, old := range kept {
		power := bits.Len64(old.Checkpoint.Size)
		first := !seen[power]
		seen[power] = true
		if first || i >= len(kept)-(keptNewest-1) {
			continue
		}
		key := numberKey(rowCheckpoint, old.Checkpoint.Size)
		if err := j.write(func() error { return j.db.Delete(key, pebble.NoSync) }); err != nil {
			return fmt.Errorf("drop checkpoint %d: %w", old.Checkpoint.Size, err)
		}
	}
	return nil
}
