package journal

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// An export is this line, the version, and frames: the length and the
// CRC-32C of a payload, 4 bytes each, big-endian, and the payload, a CBOR
// [frame]. First the head, then checkpoints by size, entries by number, and
// the end. The CRC names the entry where a disk lied; the checkpoints show
// what somebody changed.
const (
	exportMagic    = "slapmesh journal export\n"
	exportVersion  = 1
	maxFrame       = MaxCheckpoint + MaxLeaf
	maxCheckpoints = 256
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// A frame holds one of its fields.
type frame struct {
	Head       *exportHead       `cbor:"1,keyasint,omitempty"`
	Checkpoint *exportCheckpoint `cbor:"2,keyasint,omitempty"`
	Leaf       []byte            `cbor:"3,keyasint,omitempty"`
	End        *exportEnd        `cbor:"4,keyasint,omitempty"`
}

type exportHead struct {
	Start Frontier `cbor:"1,keyasint"` // before the first entry
	To    uint64   `cbor:"2,keyasint"`
	Root  Hash     `cbor:"3,keyasint"` // of the tree of To entries
}

type exportCheckpoint struct {
	Text  []byte `cbor:"1,keyasint"`
	Proof []Hash `cbor:"2,keyasint,omitempty"` // from To, for one behind it
}

type exportEnd struct {
	Sum [sha256.Size]byte `cbor:"1,keyasint"` // of all bytes before this frame
}

// Export writes the entries from one number to before another, with the
// checkpoints that prove them: all that [VerifyExport] needs.
func (j *Journal) Export(ctx context.Context, out io.Writer, from, to uint64) error {
	t := j.tree()
	if from > to || to > t.head.Size {
		return fmt.Errorf("export %d to %d: the journal has %d entries", from, to, t.head.Size)
	}
	start, err := t.frontier(from)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	root, err := t.root(to)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	w := newExportWriter(out)
	w.frame(frame{Head: &exportHead{start, to, root}})
	if err := t.exportCheckpoints(w, from, to); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	for n := from; n < to; {
		for row, err := range j.leaves(Query{From: n, Limit: int(min(to-n, MaxPage))}) {
			if err == nil {
				err = errors.Join(w.err, ctx.Err())
			}
			if err != nil {
				return fmt.Errorf("export: %w", err)
			}
			w.frame(frame{Leaf: row.leaf})
			n = row.n + 1
		}
	}
	if err := w.end(); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// exportCheckpoints writes the checkpoints in the range, and the first one
// behind it if none is at its end.
func (t tree) exportCheckpoints(w *exportWriter, from, to uint64) error {
	kept, err := t.j.Checkpoints()
	if err != nil {
		return err
	}
	last := uint64(0)
	for _, k := range kept {
		size := k.Checkpoint.Size
		if size < from || size > t.head.Size || size > to && last >= to {
			continue
		}
		if ok, err := t.holds(k.Checkpoint); !ok || err != nil {
			return errors.Join(err, fmt.Errorf("kept checkpoint %d does not hold", size))
		}
		c := exportCheckpoint{Text: k.Text}
		if size > to {
			if c.Proof, err = t.proveConsistency(to, size); err != nil {
				return err
			}
		}
		last = size
		w.frame(frame{Checkpoint: &c})
	}
	return nil
}

// An exportWriter keeps the first error.
type exportWriter struct {
	out *bufio.Writer
	sum hash.Hash
	buf bytes.Buffer
	err error
}

func newExportWriter(out io.Writer) *exportWriter {
	w := &exportWriter{out: bufio.NewWriterSize(out, 1<<16), sum: sha256.New()}
	w.bytes(append([]byte(exportMagic), exportVersion))
	return w
}

func (w *exportWriter) end() error {
	w.frame(frame{End: &exportEnd{[sha256.Size]byte(w.sum.Sum(nil))}})
	return errors.Join(w.err, w.out.Flush())
}

func (w *exportWriter) bytes(p []byte) {
	if w.err == nil {
		w.sum.Write(p)
		_, w.err = w.out.Write(p)
	}
}

func (w *exportWriter) frame(f frame) {
	w.buf.Reset()
	w.buf.Write(make([]byte, 8))
	if err := encoding.MarshalToBuffer(f, &w.buf); err != nil && w.err == nil {
		w.err = err
	}
	p := w.buf.Bytes()
	binary.BigEndian.PutUint32(p, uint32(len(p)-8))
	binary.BigEndian.PutUint32(p[4:], crc32.Checksum(p[8:], crcTable))
	w.bytes(p)
}
