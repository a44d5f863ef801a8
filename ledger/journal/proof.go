package journal

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrProof says that a proof does not prove what it should.
var ErrProof = errors.New("the proof does not hold")

// VerifyInclusion checks that the tree of the given size and root has leaf as
// entry n. It needs nothing but its arguments.
func VerifyInclusion(proof []Hash, size uint64, root Hash, n uint64, leaf []byte) error {
	if size > maxSize || n >= size {
		return fmt.Errorf("entry %d in %d: %w", n, size, ErrProof)
	}
	if err := tlog.CheckRecord(proof, int64(size), root, int64(n), tlog.RecordHash(leaf)); err != nil {
		return fmt.Errorf("entry %d in %d: %w: %w", n, size, ErrProof, err)
	}
	return nil
}

// VerifyConsistency checks that the tree of the given size and root begins
// with that of the old size and root.
func VerifyConsistency(proof []Hash, old uint64, oldRoot Hash, size uint64, root Hash) error {
	ok := false
	switch {
	case size > maxSize || old > size:
	case old == size:
		ok = len(proof) == 0 && oldRoot == root
	case old == 0:
		ok = len(proof) == 0 && oldRoot == Frontier{}.Root()
	default:
		ok = tlog.CheckTree(proof, int64(size), root, int64(old), oldRoot) == nil
	}
	if !ok {
		return fmt.Errorf("tree of %d in tree of %d: %w", old, size, ErrProof)
	}
	return nil
}
