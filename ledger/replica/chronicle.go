package replica

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/book"
	"github.com/slapmesh/slapmesh/ledger/journal"
)

// write puts what one group of commands decided into the journal. Another
// history than the one that is there, or one that is damaged, stops the replica.
// So does a disk that fails: nothing is answered any more, and Failed tells.
func (r *Replica) write(entries []journal.Entry) {
	if r.cfg.Journal == nil || len(entries) == 0 {
		return
	}
	_, err := r.cfg.Journal.Append(entries...)
	if err == nil {
		return
	}
	if _, other := errors.AsType[*journal.MismatchError](err); other || errors.Is(err, journal.ErrDamaged) {
		r.cfg.Mismatched(err)
	}
	r.cfg.Log.Error("history cannot be written", "err", err)
	close(r.failed)
	select {} // until the process ends, which it must
}

// Failed is closed when the journal cannot be written. The replica stands
// still from then on.
func (r *Replica) Failed() <-chan struct{} { return r.failed }

// entriesOf converts the facts of a command that p gave, which stood in the log
// at index.
func entriesOf(s *ledger.State, index uint64, p ledger.Principal, facts []ledger.Fact) []journal.Entry {
	if len(facts) == 0 {
		return nil
	}
	var secret journal.Secret
	copy(secret[:], s.JournalSecret())
	entries := make([]journal.Entry, 0, len(facts))
	for _, f := range facts {
		e := journal.Entry{
			N: f.N, Index: index, At: journal.UnixNano(f.At.UnixNano()), Kind: f.Kind,
			Principal: p.String(), Peer: string(p.Peer), Account: string(f.Account),
			Instance: uint64(f.Instance), Computer: string(f.Computer),
			Used: quantities(f.Used),
			Rest: secret.Salt(f.N).Commit(f.Rows),
		}
		for _, m := range f.Moved {
			e.Postings = append(e.Postings, journal.Posting{Account: m.Account, Amount: journal.Amount(m.Amount)})
		}
		entries = append(entries, e)
	}
	return entries
}

// quantities lists what was used, in units that the journal keeps for ever.
func quantities(q book.Quantities) []journal.Quantity {
	var out []journal.Quantity
	add := func(unit string, n uint64) {
		if n > 0 {
			out = append(out, journal.Quantity{Unit: unit, Amount: n})
		}
	}
	add("core-nanoseconds", q.Core)
	add("memory-byte-seconds", q.Memory)
	add("disk-byte-seconds", q.Disk)
	add("network-bytes", q.Network)
	add("partition-nanoseconds", q.Partition)
	add("requests", q.Requests)
	for _, name := range slices.Sorted(maps.Keys(q.Metrics)) {
		add("metric "+name, q.Metrics[name])
	}
	return out
}

// A snapshot of a replica begins with a mark that no snapshot of a ledger
// begins with, and where its journal ends: the length of that in four bytes, big
// end first, and the journal's own form. The snapshot of the ledger follows.
const frontierMark = 0xffff_ff01

const maxFrontier = 4 << 10 // more than any that is written

func writeFrontier(w io.Writer, f journal.Frontier) error {
	data, err := journal.EncodeFrontier(f)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	head := binary.BigEndian.AppendUint32(nil, frontierMark)
	head = binary.BigEndian.AppendUint32(head, uint32(len(data)))
	if _, err := w.Write(append(head, data...)); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}

// readFrontier reads where the journal of a snapshot ends, if it says so:
// older ones do not.
func readFrontier(r *bufio.Reader) (f journal.Frontier, ok bool, err error) {
	mark, err := r.Peek(8)
	if err != nil || binary.BigEndian.Uint32(mark) != frontierMark {
		return f, false, nil // the ledger says what is wrong with it
	}
	n := binary.BigEndian.Uint32(mark[4:])
	if n > maxFrontier {
		return f, false, fmt.Errorf("snapshot: a frontier of %d bytes, at most %d", n, maxFrontier)
	}
	data := make([]byte, 8+n)
	if _, err := io.ReadFull(r, data); err != nil {
		return f, false, fmt.Errorf("snapshot: frontier: %w", err)
	}
	f, err = journal.ParseFrontier(data[8:])
	return f, true, err
}

// restoreJournal makes the journal go on where that of a snapshot ends.
func (r *Replica) restoreJournal(f journal.Frontier, s *ledger.State) error {
	if f.Size != s.Counters().Facts {
		return fmt.Errorf("snapshot: its journal has %d entries, its ledger counts %d", f.Size, s.Counters().Facts)
	}
	if r.cfg.Journal == nil {
		return nil
	}
	// A snapshot of one's own counts once its history is durable. Who took all
	// of history away goes on without it.
	if size := r.cfg.Journal.Size(); r.log.Load() == nil && size > 0 && size < f.Size {
		return fmt.Errorf("%w: history ends at entry %d, and the snapshot beside it at %d", journal.ErrDamaged, size, f.Size)
	}
	return r.cfg.Journal.Restore(f)
}

// A snapshot is the state and where the journal ended with it.
type snapshot struct {
	state   *ledger.State
	journal *journal.Journal
	end     journal.Frontier
}

// WriteTo writes the snapshot, once all of its history is durable.
func (s snapshot) WriteTo(w io.Writer) (int64, error) {
	counted := &counter{w: w}
	err := s.write(counted)
	return counted.n, err
}

func (s snapshot) write(w io.Writer) error {
	if s.journal != nil {
		synced, err := s.journal.Sync(context.Background()) //nolint:forbidigo // raft gives none, and what is begun must end
		if err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
		if synced < s.end.Size {
			return errors.New("snapshot: its history is not durable")
		}
		if err := writeFrontier(w, s.end); err != nil {
			return err
		}
	}
	return s.state.WriteSnapshot(w)
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
