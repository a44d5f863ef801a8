package journal

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/tlog"
)

// VerifyOptions say what a journal is checked against, besides itself.
type VerifyOptions struct {
	// Trust, if set, checks the signatures of the kept checkpoints again.
	Trust *Trust

	// Want, if set, is a tree that the journal must hold, such as that of the
	// ledger's snapshot: a journal that was cut off is whole in itself.
	Want *Frontier

	// Progress is called now and then with the entries that were checked.
	Progress func(done, total uint64)
}

// Verified says what was checked.
type Verified struct {
	Size        uint64
	Root        Hash
	From, To    uint64 // entries that are missing, as [Journal.Missing] has it
	Checkpoints int    // that the entries were compared with
	Ahead       int    // checkpoints that are ahead of the entries
}

// verifyRun is how many entries are read through one iterator of the store,
// which keeps what was superseded meanwhile from being deleted.
const verifyRun = 1 << 14

// Verify reads everything again: it computes every hash, and compares entries,
// tree, indexes and checkpoints with one another. A changed byte is a
// [DamageError] that names the entry, or a [ContradictionError] if somebody
// took the trouble to change all that depends on it. Others read and append
// meanwhile.
func (j *Journal) Verify(ctx context.Context, options VerifyOptions) (Verified, error) {
	if !j.options.ReadOnly {
		if err := j.write(j.db.Flush); err != nil { // then it is read from the disk
			return Verified{}, fmt.Errorf("verify: %w", err)
		}
	}
	v := verification{j: j, t: j.tree(), options: options, seed: maphash.MakeSeed()}
	for _, check := range []func(context.Context) error{v.checkpoints, v.entries, v.indexes, v.others} {
		if err := check(ctx); err != nil {
			return v.result, fmt.Errorf("verify: %w", err)
		}
	}
	return v.result, nil
}

// A verification is one run of Verify.
type verification struct {
	j       *Journal
	t       tree
	options VerifyOptions
	kept    []Kept // not yet reached, by size
	result  Verified

	// The indexes must hold exactly the rows that the entries want. Both are
	// summed up, in any order, by hashes that nobody can foresee.
	seed         maphash.Seed
	wanted, have uint64
}

// checkpoints reads what the entries will be compared with.
func (v *verification) checkpoints(context.Context) error {
	v.result.Size, v.result.Root = v.t.head.Size, v.t.head.Root()
	if v.t.gap != nil {
		v.result.From, v.result.To = v.t.gap.From, v.t.gap.To.Size
	}
	kept, err := v.j.Checkpoints()
	if err != nil {
		return err
	}
	for _, k := range kept {
		if v.options.Trust != nil {
			if _, err := v.options.Trust.Open(k.Text); err != nil {
				return fmt.Errorf("kept checkpoint %d: %w", k.Checkpoint.Size, err)
			}
		}
		if k.Checkpoint.Size > v.t.head.Size {
			v.result.Ahead++
			continue
		}
		v.kept = append(v.kept, k)
	}
	if want := v.options.Want; want != nil {
		root, err := v.t.root(want.Size)
		if err == nil && root != want.Root() {
			err = &DivergedError{want.Size, root, want.Root()}
		}
		return err
	}
	return nil
}

// entries computes the tree again.
func (v *verification) entries(ctx context.Context) error {
	head := Frontier{}
	end := v.t.head.Size
	if g := v.t.gap; g != nil {
		if err := v.run(ctx, &head, g.From); err != nil {
			return err
		}
		for len(v.kept) > 0 && v.kept[0].Checkpoint.Size < g.To.Size {
			v.result.Ahead++ // of what is here
			v.kept = v.kept[1:]
		}
		head = g.To.clone()
	}
	if err := v.run(ctx, &head, end); err != nil {
		return err
	}
	if head.Root() != v.t.head.Root() {
		return &DamageError{end, "the tree that ends before it is not that of the entries", nil}
	}
	return nil
}

// run checks entries from head to end.
func (v *verification) run(ctx context.Context, head *Frontier, end uint64) error {
	if err := v.reached(head); err != nil {
		return err
	}
	for head.Size < end {
		if err := ctx.Err(); err != nil {
			return err
		}
		if v.options.Progress != nil {
			v.options.Progress(head.Size, v.t.head.Size)
		}
		r, err := v.j.rows(rowEntry, head.Size)
		if err != nil {
			return err
		}
		for stop := min(end, head.Size+verifyRun); head.Size < stop && err == nil; {
			err = v.entry(r, head)
		}
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
	}
	if v.options.Progress != nil {
		v.options.Progress(head.Size, v.t.head.Size)
	}
	return nil
}

// entry checks the next entry and the nodes of the tree that it completes.
func (v *verification) entry(r *rows, head *Frontier) error {
	n := head.Size
	hashes, leaf, err := r.entry(n)
	if err != nil {
		return err
	}
	e, err := ParseLeaf(leaf)
	if err != nil || e.N != n {
		return &DamageError{n, "is not an entry of that number", err}
	}
	var done [64]Hash
	nodes := head.grow(tlog.RecordHash(leaf), &done)
	for level := range nodes {
		var have Hash
		if level < tileHeight {
			copy(have[:], hashes[level*tlog.HashSize:])
		} else if have, err = v.t.node(level, n>>level); err != nil {
			return err
		}
		if have != done[level] {
			return &DamageError{n, fmt.Sprintf("is not what was hashed into the tree (level %d)", level), nil}
		}
	}
	var scratch [2 + MaxName + 8]byte
	_ = e.eachIndexKey(scratch[:0], func(key []byte) error {
		v.wanted += maphash.Bytes(v.seed, key)
		return nil
	})
	return v.reached(head)
}

// reached compares the tree with the checkpoint of its size, if there is one.
func (v *verification) reached(head *Frontier) error {
	if len(v.kept) == 0 || v.kept[0].Checkpoint.Size != head.Size {
		return nil
	}
	if root := head.Root(); root != v.kept[0].Checkpoint.Root {
		return &ContradictionError{New: v.kept[0].Text, Have: root}
	}
	v.result.Checkpoints++
	v.kept = v.kept[1:]
	return nil
}

// indexes compares the rows of the indexes with those that the entries want.
func (v *verification) indexes(ctx context.Context) error {
	err := v.eachIndexRow(ctx, func(key []byte, _ uint64) error {
		v.have += maphash.Bytes(v.seed, key)
		return nil
	})
	if err != nil || v.have == v.wanted {
		return err
	}
	if err := v.findMissing(ctx); err != nil {
		return err
	}
	return v.findStray(ctx)
}

// eachIndexRow calls do with every row of an index that is about an entry
// that was checked.
func (v *verification) eachIndexRow(ctx context.Context, do func(key []byte, n uint64) error) error {
	for _, kind := range []byte{rowAccount, rowComputer, rowInstance} {
		iter, err := v.j.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
		if err != nil {
			return err
		}
		for iter.First(); iter.Valid() && err == nil; iter.Next() {
			if n := numberOf(iter.Key()); n < v.t.head.Size && !v.t.gap.covers(n) {
				err = do(iter.Key(), n)
			}
			err = errors.Join(err, ctx.Err())
		}
		if damage := iter.Error(); damage != nil {
			err = &DamageError{0, fmt.Sprintf("and those after it: index %q cannot be read", kind), damage}
		}
		if err := errors.Join(err, iter.Close()); err != nil {
			return err
		}
	}
	return nil
}

// findMissing names an entry that an index does not have.
func (v *verification) findMissing(ctx context.Context) error {
	for n := range v.t.head.Size {
		if v.t.gap.covers(n) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := v.j.Entry(n)
		if err != nil {
			return err
		}
		var scratch [2 + MaxName + 8]byte
		err = e.eachIndexKey(scratch[:0], func(key []byte) error {
			if _, err := v.j.get(nil, key); err != nil {
				return &DamageError{n, fmt.Sprintf("is not in index %q", key[0]), err}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// findStray names an entry that is in an index where it does not belong.
func (v *verification) findStray(ctx context.Context) error {
	return v.eachIndexRow(ctx, func(row []byte, n uint64) error {
		e, err := v.j.Entry(n)
		if err != nil {
			return err
		}
		wanted := false
		var scratch [2 + MaxName + 8]byte
		_ = e.eachIndexKey(scratch[:0], func(key []byte) error {
			wanted = wanted || string(key) == string(row)
			return nil
		})
		if !wanted {
			return &DamageError{n, fmt.Sprintf("is in index %q where it does not belong", row[0]), nil}
		}
		return nil
	})
}

// others finds rows that no journal has.
func (v *verification) others(context.Context) error {
	iter, err := v.j.db.NewIter(nil)
	if err != nil {
		return err
	}
	for iter.First(); iter.Valid() && err == nil; {
		key := iter.Key()
		switch key[0] {
		case rowAccount, rowComputer, rowInstance, rowEntry, rowCheckpoint, rowEvidence: // looked at
			iter.SeekGE([]byte{key[0] + 1})
			continue
		case rowHash:
			level := 0
			if len(key) == 1+1+8 {
				level = int(key[1])
			}
			if level < tileHeight || level > 56 {
				err = fmt.Errorf("row %x: no node of a tree", key)
			}
		case rowMeta:
			if string(key) != gapKey {
				err = fmt.Errorf("row %x: not of a journal", key)
			}
		default:
			err = fmt.Errorf("row %x: not of a journal", key)
		}
		iter.Next()
	}
	return errors.Join(err, iter.Error(), iter.Close())
}
