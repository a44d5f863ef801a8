package journal

import (
	"encoding/binary"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// The rows of the store. Every number is 8 bytes, big-endian, so that the
// order of keys is the order of numbers.
//
//	'a' length account n     (nothing)              index: entries by account
//	'c' length computer n    (nothing)              … by computer
//	'e' n                    hashes, then the leaf  the entry
//	'h' level n              a hash                 a node of the tree, from level 8 up
//	'i' instance n           (nothing)              … by instance
//	'k' size                 signed checkpoint      that this peer saw
//	'm' name                 CBOR                   what else the journal must know
//	'x' n                    CBOR                   evidence of a contradiction
//
// The hashes beside a leaf are those of the subtrees below level 8 that the
// entry completes, its own first; their count follows from n. So an append
// writes one row for entry and tree, and a tile is a run of neighbours.
const (
	rowAccount    = 'a'
	rowComputer   = 'c'
	rowEntry      = 'e'
	rowHash       = 'h'
	rowInstance   = 'i'
	rowCheckpoint = 'k'
	rowMeta       = 'm'
	rowEvidence   = 'x'

	tileHeight = 8
)

func appendEntryKey(key []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(key, rowEntry), n)
}

func appendHashKey(key []byte, level int, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(key, rowHash, byte(level)), n)
}

func numberKey(row byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{row}, n)
}

func appendNamePrefix(key []byte, row byte, name string) []byte {
	return append(append(key, row, byte(len(name))), name...)
}

func appendInstancePrefix(key []byte, instance uint64) []byte {
	return binary.BigEndian.AppendUint64(append(key, rowInstance), instance)
}

// numberOf returns the number at the end of a key.
func numberOf(key []byte) uint64 {
	if len(key) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key[len(key)-8:])
}

// hashesBeside says how many hashes the row of entry n holds.
func hashesBeside(n uint64) int { return min(bits.TrailingZeros64(^n), tileHeight-1) + 1 }

// eachIndexKey calls do with the keys of the index rows of e. The key is
// valid until do returns.
func (e *Entry) eachIndexKey(scratch []byte, do func(key []byte) error) error {
	if e.Account != "" {
		key := appendNamePrefix(scratch[:0], rowAccount, e.Account)
		if err := do(binary.BigEndian.AppendUint64(key, e.N)); err != nil {
			return err
		}
	}
	for i, p := range e.Postings {
		if p.Account == e.Account || postedBefore(e.Postings[:i], p.Account) {
			continue
		}
		key := appendNamePrefix(scratch[:0], rowAccount, p.Account)
		if err := do(binary.BigEndian.AppendUint64(key, e.N)); err != nil {
			return err
		}
	}
	if e.Computer != "" {
		key := appendNamePrefix(scratch[:0], rowComputer, e.Computer)
		if err := do(binary.BigEndian.AppendUint64(key, e.N)); err != nil {
			return err
		}
	}
	if e.Instance != 0 {
		key := appendInstancePrefix(scratch[:0], e.Instance)
		return do(binary.BigEndian.AppendUint64(key, e.N))
	}
	return nil
}

func postedBefore(postings []Posting, account string) bool {
	for _, p := range postings {
		if p.Account == account {
			return true
		}
	}
	return false
}

// splitRow takes the row of entry n apart.
func splitRow(n uint64, value []byte) (hashes, leaf []byte, ok bool) {
	k := hashesBeside(n) * tlog.HashSize
	if len(value) <= k {
		return nil, nil, false
	}
	return value[:k], value[k:], true
}
