package ledger

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A snapshot is a sequence of blocks, each the length of its CBOR in four
// bytes, big end first, and the CBOR: a header, blocks of records, and a
// trailer with the hash of the state. Nothing follows the trailer.
const (
	snapshotMagic   = "slapmesh ledger"
	snapshotVersion = 1
	maxBlock        = 64 << 20 // more than any that is written
)

type snapshotHeader struct {
	Magic    string   `cbor:"1,keyasint"`
	Version  uint     `cbor:"2,keyasint"`
	Index    uint64   `cbor:"3,keyasint"`
	Counters Counters `cbor:"4,keyasint"`
}

type snapshotBlock struct {
	Records []Record `cbor:"1,keyasint,omitempty"`
	Last    bool     `cbor:"2,keyasint,omitempty"`
	Hash    string   `cbor:"3,keyasint,omitempty"` // of the state; in the last block
}

// WriteSnapshot writes all of s. It only reads: give it a copy, and the
// original may go on meanwhile.
func (s *State) WriteSnapshot(w io.Writer) error {
	if s.partial {
		return errors.New("snapshot: a slice has none")
	}
	buffered := bufio.NewWriterSize(w, 1<<16)
	if err := writeBlock(buffered, snapshotHeader{snapshotMagic, snapshotVersion, s.index, s.counters}); err != nil {
		return err
	}
	var block snapshotBlock
	size := 0
	for _, id := range tables {
		shelf, _ := s.shelf(id)
		var err error
		shelf.encoded(func(_ Key, data []byte) bool {
			r := Record{Table: id, Value: data}
			block.Records = append(block.Records, r)
			if size += len(r.Value); size >= frameBytes {
				err = writeBlock(buffered, block)
				block.Records, size = block.Records[:0], 0
			}
			return err == nil
		})
		if err != nil {
			return err
		}
	}
	block.Last, block.Hash = true, s.Hash().String()
	if err := writeBlock(buffered, block); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}

func writeBlock(w io.Writer, v any) error {
	data := mustEncode(v)
	if _, err := w.Write(binary.BigEndian.AppendUint32(nil, uint32(len(data)))); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}

// ReadSnapshot returns the state that was written, or an error if it is not
// exactly that.
func ReadSnapshot(r io.Reader) (*State, error) {
	buffered := bufio.NewReaderSize(r, 1<<16)
	header, err := readHeader(buffered)
	if err != nil {
		return nil, err
	}
	switch {
	case header.Magic != snapshotMagic:
		return nil, errors.New("snapshot: not one of a ledger")
	case header.Version != snapshotVersion:
		return nil, fmt.Errorf("snapshot: version %d, this program reads %d: use the slapd that wrote it, or a newer one", header.Version, snapshotVersion)
	}
	s := NewState()
	s.index, s.counters = header.Index, header.Counters
	last, err := s.loadBlocks(buffered)
	if err == nil && !last.Last {
		err = fmt.Errorf("snapshot: %w", io.ErrUnexpectedEOF)
	}
	if err != nil {
		return nil, err
	}
	if got := s.Hash().String(); got != last.Hash {
		return nil, fmt.Errorf("snapshot: hash %.16s…, expected %.16s…", got, last.Hash)
	}
	return s, nil
}

// readHeader reads the first block.
func readHeader(r io.Reader) (h snapshotHeader, err error) {
	var data bytes.Buffer
	err = readBlockData(r, &data)
	switch {
	case errors.Is(err, io.EOF):
		return h, fmt.Errorf("snapshot: %w", io.ErrUnexpectedEOF)
	case err != nil:
		return h, err
	}
	if err := decode(data.Bytes(), &h); err != nil {
		return h, fmt.Errorf("snapshot: %w", err)
	}
	return h, nil
}
