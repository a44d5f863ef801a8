package journal

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// A Hash is a node of the tree, as RFC 6962 makes it.
type Hash = tlog.Hash

// maxSize bounds the sizes that are read from outside, far from where sums
// of them could overflow.
const maxSize = 1 << 56

// A Frontier is the right edge of the tree at a size: the roots of the
// complete subtrees, the largest first. It is all that is needed to go on
// from there without what came before, and it says the root. A raft snapshot
// carries it.
type Frontier struct {
	Size  uint64 `cbor:"1,keyasint"`
	Peaks []Hash `cbor:"2,keyasint,omitempty"`
}

// Root returns the hash of the tree.
func (f Frontier) Root() Hash {
	if len(f.Peaks) == 0 {
		return sha256.Sum256(nil)
	}
	root := f.Peaks[len(f.Peaks)-1]
	for i := len(f.Peaks) - 2; i >= 0; i-- {
		root = tlog.NodeHash(f.Peaks[i], root)
	}
	return root
}

// check refuses a frontier that no tree has.
func (f Frontier) check() error {
	if f.Size > maxSize {
		return fmt.Errorf("frontier of size %d: too large", f.Size)
	}
	if len(f.Peaks) != bits.OnesCount64(f.Size) {
		return fmt.Errorf("frontier of size %d: %d peaks, want %d", f.Size, len(f.Peaks), bits.OnesCount64(f.Size))
	}
	return nil
}

// EncodeFrontier returns the byte form of f.
func EncodeFrontier(f Frontier) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	return encoding.Marshal(f)
}

// ParseFrontier reads what [EncodeFrontier] wrote.
func ParseFrontier(data []byte) (Frontier, error) {
	var f Frontier
	if len(data) > 64*(tlog.HashSize+2)+32 {
		return f, errors.New("frontier: too long")
	}
	if err := decoding.Unmarshal(data, &f); err != nil {
		return Frontier{}, fmt.Errorf("frontier: %w", err)
	}
	return f, f.check()
}

// grow adds a leaf. It leaves in done the nodes that the leaf completes, its
// own hash first, and returns how many they are.
func (f *Frontier) grow(h Hash, done *[64]Hash) int {
	level := 0
	done[0] = h
	for ; f.Size>>level&1 == 1; level++ {
		h = tlog.NodeHash(f.Peaks[len(f.Peaks)-1], h)
		f.Peaks = f.Peaks[:len(f.Peaks)-1]
		done[level+1] = h
	}
	f.Peaks = append(f.Peaks, h)
	f.Size++
	return level + 1
}

func (f Frontier) clone() Frontier {
	f.Peaks = append(make([]Hash, 0, len(f.Peaks)+1), f.Peaks...)
	return f
}

// peak returns the n-th subtree of 2^level entries if it is one of the peaks.
func (f Frontier) peak(level int, n uint64) (Hash, bool) {
	if f.Size>>level&1 == 0 || n != f.Size>>(level+1)<<1 {
		return Hash{}, false
	}
	return f.Peaks[bits.OnesCount64(f.Size>>(level+1))], true
}
