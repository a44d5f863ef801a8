package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
)

// A parsedBlock is a block of a snapshot on its way into a state: blocks are
// read one after the other, parsed by all processors, and stored in order.
type parsedBlock struct {
	data []byte
	done chan struct{} // closed when what follows is set

	block snapshotBlock
	rows  []loaded
	err   error
}

// parse decodes the rows of a block.
func (b *parsedBlock) parse(s *State) {
	defer close(b.done)
	if err := decode(b.data, &b.block); err != nil {
		b.err = fmt.Errorf("snapshot: %w", err)
		return
	}
	b.rows = make([]loaded, len(b.block.Records))
	for n, r := range b.block.Records {
		shelf, err := s.shelf(r.Table)
		if err == nil {
			b.rows[n], err = shelf.prepare(r.Value)
		}
		if err != nil {
			b.err = fmt.Errorf("snapshot: record %d of table %d: %w", n, r.Table, err)
			return
		}
	}
}

// loadBlocks stores all blocks of a snapshot, and returns the last one. It has
// read all that there is, and nobody reads any more when it returns.
func (s *State) loadBlocks(r io.Reader) (last snapshotBlock, err error) {
	workers := runtime.GOMAXPROCS(0)
	parse, order := make(chan *parsedBlock), make(chan *parsedBlock, 2*workers)
	stop, ended := make(chan struct{}), make(chan error, 1)
	for range workers {
		go func() {
			for b := range parse {
				b.parse(s)
			}
		}()
	}
	go func() {
		defer close(parse)
		defer close(order)
		ended <- readBlocks(r, parse, order, stop)
	}()
	last, err = s.storeBlocks(order)
	close(stop)
	return last, errors.Join(err, <-ended)
}

// storeBlocks stores blocks in their order until there are no more.
func (s *State) storeBlocks(order <-chan *parsedBlock) (last snapshotBlock, err error) {
	s.later = &later{}
	for b := range order {
		<-b.done
		switch {
		case last.Last:
			return last, errors.New("snapshot: something follows the end")
		case b.err != nil:
			return last, b.err
		}
		for n := range b.rows {
			s.loading = &b.rows[n]
			if s.loading.store(); s.loading.twice {
				return last, fmt.Errorf("snapshot: record %d of table %d: that row was there before", n, b.block.Records[n].Table)
			}
		}
		s.loading, s.changes = nil, nil
		if b.block.Last {
			last = b.block
		}
	}
	s.settleTallies()
	s.settleIndexes()
	s.ordinalOf = nil
	return last, nil
}

// readBlocks hands blocks to who parses them, and to who waits for that, until
// the end or until nobody wants more.
func readBlocks(r io.Reader, parse, order chan<- *parsedBlock, stop <-chan struct{}) error {
	for {
		data, err := readBlockData(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		b := &parsedBlock{data: data, done: make(chan struct{})}
		select {
		case parse <- b:
		case <-stop:
			return nil
		}
		select {
		case order <- b:
		case <-stop:
			return nil
		}
	}
}

// readBlockData reads the bytes of a block. It returns io.EOF where none
// begins.
func readBlockData(r io.Reader) ([]byte, error) {
	var length [4]byte
	if n, err := io.ReadFull(r, length[:]); n == 0 && errors.Is(err, io.EOF) {
		return nil, io.EOF
	} else if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxBlock {
		return nil, fmt.Errorf("snapshot: block of %d bytes, at most %d", n, maxBlock)
	}
	var data bytes.Buffer // grows with what is there, not with n, but for a usual block
	data.Grow(min(int(n), 2*frameBytes) + bytes.MinRead)
	if _, err := data.ReadFrom(io.LimitReader(r, int64(n))); err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	if data.Len() < int(n) {
		return nil, fmt.Errorf("snapshot: %w", io.ErrUnexpectedEOF)
	}
	return data.Bytes(), nil
}
