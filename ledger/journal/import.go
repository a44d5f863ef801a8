package journal

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// A Report says what an export holds and what of it is proven.
type Report struct {
	From, To uint64
	Root     Hash // of the tree of To entries

	// Proven is the number before which signed checkpoints vouch for every
	// entry. It is From if no checkpoint does: then the export is whole, and
	// might be anybody's.
	Proven      uint64
	Checkpoints []Signed
}

// VerifyExport reads an export to its end and checks every byte of it:
// without the mesh, without a journal. A checkpoint that is not signed as
// trust wants it, or that the entries contradict, is an error.
//
// It calls visit, unless that is nil, with every entry in order, before the
// last byte is read. Who brings entries back into a journal reads the export
// twice: first to verify, then to append.
func VerifyExport(in io.Reader, trust Trust, visit func(Entry) error) (Report, error) {
	r := &exportReader{in: bufio.NewReaderSize(in, 1<<16), sum: sha256.New(), trust: trust, visit: visit}
	if err := r.run(); err != nil {
		return Report{}, fmt.Errorf("export: %w", err)
	}
	return r.report, nil
}

type exportReader struct {
	in    *bufio.Reader
	sum   hash.Hash
	trust Trust
	visit func(Entry) error

	head    Frontier
	root    Hash
	pending []Signed // not reached yet, by size
	beyond  *exportCheckpoint
	last    Signed // the last checkpoint that was read
	buf     []byte
	report  Report
}

func (r *exportReader) run() error {
	magic := make([]byte, len(exportMagic)+1)
	if _, err := io.ReadFull(r.in, magic); err != nil || string(magic[:len(exportMagic)]) != exportMagic {
		return errors.New("not an export of a journal")
	}
	if version := magic[len(exportMagic)]; version != exportVersion {
		return fmt.Errorf("version %d: this program reads version %d", version, exportVersion)
	}
	r.sum.Write(magic)
	f, err := r.frame()
	if err != nil {
		return fmt.Errorf("head: %w", err)
	}
	if f.Head == nil {
		return errors.New("does not begin with a head")
	}
	if err := r.begin(*f.Head); err != nil {
		return err
	}
	for {
		sum := [sha256.Size]byte(r.sum.Sum(nil))
		f, err := r.frame()
		switch {
		case err != nil:
			err = fmt.Errorf("at entry %d: %w", r.head.Size, err)
		case f.Checkpoint != nil:
			err = r.checkpoint(*f.Checkpoint)
		case f.Leaf != nil:
			err = r.leaf(f.Leaf)
		case f.End != nil:
			return r.end(*f.End, sum)
		default:
			err = errors.New("a second head")
		}
		if err != nil {
			return err
		}
	}
}

// frame reads one frame, in its one form, with exactly one field.
func (r *exportReader) frame() (frame, error) {
	var head [8]byte
	if _, err := io.ReadFull(r.in, head[:]); err != nil {
		return frame{}, fmt.Errorf("cut short: %w", err)
	}
	size := binary.BigEndian.Uint32(head[:])
	if size == 0 || size > maxFrame {
		return frame{}, fmt.Errorf("frame of %d bytes: at most %d", size, maxFrame)
	}
	r.buf = append(r.buf[:0], make([]byte, size)...)
	if _, err := io.ReadFull(r.in, r.buf); err != nil {
		return frame{}, fmt.Errorf("cut short: %w", err)
	}
	if crc32.Checksum(r.buf, crcTable) != binary.BigEndian.Uint32(head[4:]) {
		return frame{}, errors.New("changed: its checksum is another")
	}
	r.sum.Write(head[:])
	r.sum.Write(r.buf)
	var f frame
	if err := decoding.Unmarshal(r.buf, &f); err != nil {
		return frame{}, err
	}
	again, err := encoding.Marshal(f)
	if err != nil || !bytes.Equal(again, r.buf) {
		return frame{}, errors.New("not the deterministic form")
	}
	fields := 0
	for _, set := range []bool{f.Head != nil, f.Checkpoint != nil, f.Leaf != nil, f.End != nil} {
		if set {
			fields++
		}
	}
	if fields != 1 {
		return frame{}, errors.New("a frame of no kind")
	}
	return f, nil
}

func (r *exportReader) begin(h exportHead) error {
	if err := h.Start.check(); err != nil {
		return err
	}
	if h.To < h.Start.Size || h.To > maxSize {
		return fmt.Errorf("entries %d to %d: no such range", h.Start.Size, h.To)
	}
	r.head, r.root = h.Start.clone(), h.Root
	r.report = Report{From: h.Start.Size, To: h.To, Root: h.Root, Proven: h.Start.Size}
	return nil
}

func (r *exportReader) checkpoint(c exportCheckpoint) error {
	if r.head.Size != r.report.From {
		return fmt.Errorf("a checkpoint behind entry %d", r.head.Size-1)
	}
	if r.beyond != nil || len(r.report.Checkpoints) >= maxCheckpoints {
		return errors.New("too many checkpoints")
	}
	signed, err := r.trust.Open(c.Text)
	if err != nil {
		return err
	}
	if signed.Size < r.report.From || len(r.report.Checkpoints) > 0 && signed.Size <= r.last.Size {
		return fmt.Errorf("checkpoint %d: not in order", signed.Size)
	}
	r.last = signed
	r.report.Checkpoints = append(r.report.Checkpoints, signed)
	if signed.Size > r.report.To {
		r.beyond = &c
		return nil
	}
	if len(c.Proof) != 0 {
		return fmt.Errorf("checkpoint %d: a proof that nobody needs", signed.Size)
	}
	r.pending = append(r.pending, signed)
	return r.reached()
}

func (r *exportReader) leaf(leaf []byte) error {
	n := r.head.Size
	if n >= r.report.To {
		return fmt.Errorf("entry %d: the last was to be %d", n, r.report.To-1)
	}
	e, err := ParseLeaf(leaf)
	if err != nil {
		return fmt.Errorf("entry %d: %w", n, err)
	}
	if e.N != n {
		return fmt.Errorf("entry %d: numbered %d", n, e.N)
	}
	var done [64]Hash
	r.head.grow(tlog.RecordHash(leaf), &done)
	if err := r.reached(); err != nil {
		return err
	}
	if r.visit != nil {
		return r.visit(e)
	}
	return nil
}

// reached compares the tree with the checkpoint of its size, if there is one.
func (r *exportReader) reached() error {
	if len(r.pending) == 0 || r.pending[0].Size != r.head.Size {
		return nil
	}
	if root := r.head.Root(); root != r.pending[0].Root {
		return fmt.Errorf("entries %d to %d: one was changed: %w", r.report.Proven, r.head.Size-1,
			&ContradictionError{New: r.pending[0].Text(), Have: root})
	}
	r.report.Proven = r.head.Size
	r.pending = r.pending[1:]
	return nil
}

func (r *exportReader) end(e exportEnd, sum [sha256.Size]byte) error {
	root := r.head.Root()
	switch {
	case r.head.Size != r.report.To:
		return fmt.Errorf("ends before entry %d: the last was to be %d", r.head.Size, r.report.To-1)
	case root != r.root:
		return fmt.Errorf("entries %d to %d: one was changed: the root is another", r.report.Proven, r.report.To-1)
	case e.Sum != sum:
		return errors.New("changed: its sum is another")
	}
	if r.beyond != nil {
		if err := VerifyConsistency(r.beyond.Proof, r.report.To, root, r.last.Size, r.last.Root); err != nil {
			return fmt.Errorf("entries %d to %d: one was changed: %w", r.report.Proven, r.report.To-1, err)
		}
		r.report.Proven = r.report.To
	}
	if _, err := r.in.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.New("goes on behind its end")
	}
	return nil
}
