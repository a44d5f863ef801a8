package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
)

// A parsedBlock is a block of a snapshot on its way into a state: blocks are
// read one after the other, parsed by all processors, and stored in order. It
// is used again for another then.
type parsedBlock struct {
	data bytes.Buffer
	done chan struct{} // told once what follows is set

	block   snapshotBlock
	runs    []run
	batches map[Table]batch
	err     error
}

// parse prepares the rows of a block.
func (b *parsedBlock) parse(s *State, k *skimmer) {
	b.runs, b.err = nil, nil
	var ok bool
	if b.block.Records, ok = recordsOf(b.data.Bytes()); ok {
		b.block.Last, b.block.Hash = false, ""
	} else {
		b.block = snapshotBlock{}
		if err := decode(b.data.Bytes(), &b.block); err != nil {
			b.err = fmt.Errorf("snapshot: %w", err)
		}
	}
	if b.err == nil {
		b.runs, b.err = b.read(s, k)
	}
	b.done <- struct{}{}
}

func (b *parsedBlock) read(s *State, k *skimmer) ([]run, error) {
	runs := runsOf(b.block.Records)
	before := 0
	for n := range runs {
		r := &runs[n]
		shelf, err := s.shelf(r.table)
		failed := 0
		switch {
		case err != nil:
		case slices.ContainsFunc(runs[:n], func(o run) bool { return o.table == r.table }):
			err = errors.New("its table's rows do not come together")
		default:
			if b.batches[r.table] == nil {
				b.batches[r.table] = shelf.batch()
			}
			r.batch = b.batches[r.table]
			failed, err = r.batch.read(k, r.values)
		}
		if err != nil {
			return nil, fmt.Errorf("snapshot: record %d of table %d: %w", before+failed, r.table, err)
		}
		before += len(r.values)
	}
	return runs, nil
}

// loadBlocks stores all blocks of a snapshot, and returns the last one. It has
// read all that there is, and nobody reads any more when it returns.
func (s *State) loadBlocks(r io.Reader) (last snapshotBlock, err error) {
	workers := runtime.GOMAXPROCS(0)
	blocks := 3 * workers
	parse, order, free := make(chan *parsedBlock), make(chan *parsedBlock, blocks), make(chan *parsedBlock, blocks)
	for range blocks {
		free <- &parsedBlock{done: make(chan struct{}, 1), batches: make(map[Table]batch)}
	}
	stop, ended := make(chan struct{}), make(chan error, 1)
	for range workers {
		go func() {
			k := newSkimmer()
			for b := range parse {
				b.parse(s, k)
			}
		}()
	}
	go func() {
		defer close(parse)
		defer close(order)
		ended <- readBlocks(r, free, parse, order, stop)
	}()
	last, err = s.storeBlocks(order, free)
	close(stop)
	return last, errors.Join(err, <-ended)
}

// storeBlocks stores blocks in their order until there are no more.
func (s *State) storeBlocks(order <-chan *parsedBlock, free chan<- *parsedBlock) (last snapshotBlock, err error) {
	s.later = newLater()
	for b := range order {
		<-b.done
		switch {
		case last.Last:
			return last, errors.New("snapshot: something follows the end")
		case b.err != nil:
			return last, b.err
		}
		before := 0
		for _, r := range b.runs {
			for n := range r.values {
				if r.batch.store(s, n) {
					return last, fmt.Errorf("snapshot: record %d of table %d: that row was there before", before+n, r.table)
				}
			}
			before += len(r.values)
		}
		s.changes = nil
		if b.block.Last {
			last = b.block
		}
		free <- b
	}
	s.settleTallies()
	s.settleIndexes()
	s.ordinalOf = nil
	return last, nil
}

// readBlocks hands blocks to who parses them, and to who waits for that, until
// the end or until nobody wants more.
func readBlocks(r io.Reader, free <-chan *parsedBlock, parse, order chan<- *parsedBlock, stop <-chan struct{}) error {
	for {
		var b *parsedBlock
		select {
		case b = <-free:
		case <-stop:
			return nil
		}
		err := readBlockData(r, &b.data)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
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

// readBlockData reads the bytes of a block into data. It returns io.EOF where
// none begins.
func readBlockData(r io.Reader, data *bytes.Buffer) error {
	var length [4]byte
	if n, err := io.ReadFull(r, length[:]); n == 0 && errors.Is(err, io.EOF) {
		return io.EOF
	} else if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxBlock {
		return fmt.Errorf("snapshot: block of %d bytes, at most %d", n, maxBlock)
	}
	if data.Reset(); data.Cap() > 8*frameBytes { // a large profile's
		*data = bytes.Buffer{}
	}
	data.Grow(min(int(n), 2*frameBytes) + bytes.MinRead) // with what is there, not with n, but for a usual block
	if _, err := data.ReadFrom(io.LimitReader(r, int64(n))); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	if data.Len() < int(n) {
		return fmt.Errorf("snapshot: %w", io.ErrUnexpectedEOF)
	}
	return nil
}
