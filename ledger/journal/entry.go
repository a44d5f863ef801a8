package journal

import (
	"bytes"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Bounds on an entry. They keep a leaf under [MaxLeaf], whatever a peer that
// we do not trust may send.
const (
	MaxKind     = 64  // bytes of a kind
	MaxName     = 128 // bytes of the name of a principal, peer, account or computer
	MaxPostings = 64  // postings of one entry
	MaxUsed     = 32  // quantities of one entry
	MaxLeaf     = 16 << 10
)

// An Amount is a number of micro-credits: millionths of a credit.
type Amount int64

// A UnixNano is a moment: nanoseconds since 1970, UTC.
type UnixNano int64

// Time returns the moment as Go has it.
func (t UnixNano) Time() time.Time { return time.Unix(0, int64(t)).UTC() }

// A Posting changes the balance of an account.
type Posting struct {
	Account string `cbor:"1,keyasint"`
	Amount  Amount `cbor:"2,keyasint"`
}

// An Entry is one event of the ledger as history keeps it: what kind, whom it
// concerns, what it moved. The rest (parameters, texts, what an instance
// publishes) is not in it; Rest commits to it.
//
// The fields and their numbers are for ever: they are what is hashed.
type Entry struct {
	N         uint64     `cbor:"1,keyasint"` // numbers entries from 0, without gaps
	Index     uint64     `cbor:"2,keyasint"` // of the log entry that carried the command
	At        UnixNano   `cbor:"3,keyasint"`
	Kind      string     `cbor:"4,keyasint"`
	Principal string     `cbor:"5,keyasint,omitempty"` // who asked
	Peer      string     `cbor:"6,keyasint,omitempty"`
	Account   string     `cbor:"7,keyasint,omitempty"`
	Instance  uint64     `cbor:"8,keyasint,omitempty"`
	Computer  string     `cbor:"9,keyasint,omitempty"`
	Postings  []Posting  `cbor:"10,keyasint,omitempty"`
	Rest      Commitment `cbor:"11,keyasint,omitzero"`
	Used      []Quantity `cbor:"12,keyasint,omitempty"` // that was billed
}

// A Quantity is how much of something was used.
type Quantity struct {
	Unit   string `cbor:"1,keyasint"`
	Amount uint64 `cbor:"2,keyasint"`
}

// Leaf returns the one byte form of e: what is stored, sent and hashed into
// the tree.
func (e *Entry) Leaf() ([]byte, error) {
	var buf bytes.Buffer
	if err := e.appendTo(&buf); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func (e *Entry) appendTo(buf *bytes.Buffer) error {
	if err := e.check(); err != nil {
		return fmt.Errorf("entry %d: %w", e.N, err)
	}
	if err := encoding.MarshalToBuffer(e, buf); err != nil {
		return fmt.Errorf("entry %d: %w", e.N, err)
	}
	return nil
}

// ParseLeaf reads an entry. It refuses every form but the one that
// [Entry.Leaf] writes, so equal entries are equal bytes.
func ParseLeaf(leaf []byte) (Entry, error) {
	var e Entry
	if len(leaf) > MaxLeaf {
		return e, fmt.Errorf("leaf of %d bytes: at most %d", len(leaf), MaxLeaf)
	}
	if err := decoding.Unmarshal(leaf, &e); err != nil {
		return Entry{}, fmt.Errorf("leaf: %w", err)
	}
	again, err := e.Leaf()
	if err != nil {
		return Entry{}, fmt.Errorf("leaf: %w", err)
	}
	if !bytes.Equal(leaf, again) {
		return Entry{}, fmt.Errorf("leaf of entry %d: not the deterministic form", e.N)
	}
	return e, nil
}

// check refuses what is out of bounds. What the values mean is the ledger's
// business.
func (e *Entry) check() error {
	if e.Kind == "" {
		return errors.New("kind required")
	}
	if len(e.Kind) > MaxKind || !utf8.ValidString(e.Kind) {
		return fmt.Errorf("kind %.20q: at most %d bytes of text", e.Kind, MaxKind)
	}
	for _, name := range [...]string{e.Principal, e.Peer, e.Account, e.Computer} {
		if err := checkName(name); err != nil {
			return err
		}
	}
	if len(e.Postings) > MaxPostings {
		return fmt.Errorf("%d postings: at most %d", len(e.Postings), MaxPostings)
	}
	for _, p := range e.Postings {
		if p.Account == "" {
			return errors.New("posting: account required")
		}
		if err := checkName(p.Account); err != nil {
			return err
		}
	}
	if len(e.Used) > MaxUsed {
		return fmt.Errorf("%d quantities: at most %d", len(e.Used), MaxUsed)
	}
	for _, q := range e.Used {
		if q.Unit == "" {
			return errors.New("quantity: unit required")
		}
		if err := checkName(q.Unit); err != nil {
			return err
		}
	}
	return nil
}

func checkName(name string) error {
	if len(name) > MaxName || !utf8.ValidString(name) {
		return fmt.Errorf("name %.20q: at most %d bytes of text", name, MaxName)
	}
	return nil
}
