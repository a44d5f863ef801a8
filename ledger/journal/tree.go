package journal

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// A tree reads the Merkle tree as it was at one moment, without holding up
// who appends.
type tree struct {
	j    *Journal
	head Frontier
	gap  *gap
}

func (j *Journal) tree() tree {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return tree{j, j.head.clone(), j.gap}
}

// Frontier returns the right edge of the tree as it is now.
func (j *Journal) Frontier() Frontier { return j.tree().head }

// Root returns the hash of the tree of the first size entries.
func (j *Journal) Root(size uint64) (Hash, error) { return j.tree().root(size) }

func (t tree) root(size uint64) (Hash, error) {
	f, err := t.frontier(size)
	if err != nil {
		return Hash{}, fmt.Errorf("root of size %d: %w", size, err)
	}
	return f.Root(), nil
}

// ProveInclusion returns the proof that the tree of the first size entries
// holds entry n where it does.
func (j *Journal) ProveInclusion(n, size uint64) ([]Hash, error) {
	t := j.tree()
	if n >= size || size > t.head.Size {
		return nil, fmt.Errorf("prove entry %d in %d: the journal has %d entries", n, size, t.head.Size)
	}
	proof, err := tlog.ProveRecord(int64(size), int64(n), tlog.HashReaderFunc(t.readHashes))
	if err != nil {
		return nil, fmt.Errorf("prove entry %d in %d: %w", n, size, err)
	}
	return proof, nil
}

// ProveConsistency returns the proof that the tree of the first size entries
// begins with that of the first old.
func (j *Journal) ProveConsistency(old, size uint64) ([]Hash, error) {
	return j.tree().proveConsistency(old, size)
}

func (t tree) proveConsistency(old, size uint64) ([]Hash, error) {
	if old > size || size > t.head.Size {
		return nil, fmt.Errorf("prove %d in %d: the journal has %d entries", old, size, t.head.Size)
	}
	if old == 0 || old == size {
		return nil, nil // every tree begins with the empty one, and with itself
	}
	proof, err := tlog.ProveTree(int64(size), int64(old), tlog.HashReaderFunc(t.readHashes))
	if err != nil {
		return nil, fmt.Errorf("prove %d in %d: %w", old, size, err)
	}
	return proof, nil
}

// Tile returns a tile of the tree as C2SP tlog-tiles lays them out: width
// hashes (256 is a full tile) from number n on, at the level; level 0 holds
// the hashes of entries. Its path is [tlog.Tile.Path] without the height.
func (j *Journal) Tile(level int, n uint64, width int) ([]byte, error) {
	t := j.tree()
	tile := tlog.Tile{H: tileHeight, L: level, N: int64(n), W: width}
	if level < 0 || level > 6 || width < 1 || width > 1<<tileHeight || n > maxSize>>(tileHeight*(level+1)) {
		return nil, fmt.Errorf("tile %d/%d of %d: no such tile", level, n, width)
	}
	if need := (n<<tileHeight + uint64(width)) << (tileHeight * level); need > t.head.Size {
		return nil, fmt.Errorf("tile %d/%d of %d: needs %d entries, the journal has %d", level, n, width, need, t.head.Size)
	}
	data, err := tlog.ReadTileData(tile, tlog.HashReaderFunc(t.readHashes))
	if err != nil {
		return nil, fmt.Errorf("tile %d/%d of %d: %w", level, n, width, err)
	}
	return data, nil
}

// readHashes is a [tlog.HashReader].
func (t tree) readHashes(indexes []int64) ([]Hash, error) {
	hashes := make([]Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		var err error
		if hashes[i], err = t.node(level, uint64(n)); err != nil {
			return nil, err
		}
	}
	return hashes, nil
}

// frontier returns the right edge of the tree at a size.
func (t tree) frontier(size uint64) (Frontier, error) {
	switch {
	case size > t.head.Size:
		return Frontier{}, fmt.Errorf("the journal has %d entries", t.head.Size)
	case size == t.head.Size:
		return t.head, nil
	}
	return t.edge(size)
}

// edge reads the right edge of the tree at a size from the store.
func (t tree) edge(size uint64) (Frontier, error) {
	f := Frontier{Size: size}
	for level := 63; level >= 0; level-- {
		if size>>level&1 == 0 {
			continue
		}
		h, err := t.node(level, size>>(level+1)<<1)
		if err != nil {
			return Frontier{}, err
		}
		f.Peaks = append(f.Peaks, h)
	}
	return f, nil
}

// node reads the hash of the n-th subtree of 2^level entries.
func (t tree) node(level int, n uint64) (Hash, error) {
	last := (n+1)<<level - 1 // the entry that completes it
	if t.gap.covers(last) {
		if h, ok := t.gap.To.peak(level, n); ok {
			return h, nil
		}
		return Hash{}, &MissingError{t.gap.From, t.gap.To.Size}
	}
	var scratch [9]byte
	if level >= tileHeight {
		return t.hashAt(appendHashKey(scratch[:0], level, n), 0, last)
	}
	return t.hashAt(appendEntryKey(scratch[:0], last), level, last)
}

// hashAt reads the i-th hash of a row.
func (t tree) hashAt(key []byte, i int, entry uint64) (Hash, error) {
	value, closer, err := t.j.db.Get(key)
	if err != nil {
		return Hash{}, &DamageError{entry, "a hash of the tree cannot be read", err}
	}
	var h Hash
	if len(value) < (i+1)*len(h) {
		err = &DamageError{entry, "a hash of the tree is cut short", nil}
	} else {
		copy(h[:], value[i*len(h):])
	}
	return h, errors.Join(err, closer.Close())
}
