package consensus

import (
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

// fsm drives a [Machine] by what raft commits.
type fsm struct {
	machine Machine
	codec   codec
	changed func() // when a configuration was committed

	unrestored error // why a snapshot could not be restored; for who opens
}

var _ raft.BatchingFSM = (*fsm)(nil)

// ApplyBatch implements [raft.BatchingFSM]. It panics if it cannot read an
// entry: what the log holds is agreed, so a node that cannot follow must stop
// rather than go its own way.
func (f *fsm) ApplyBatch(logs []*raft.Log) []any {
	replies := make([]any, len(logs))
	for i, l := range logs {
		if l.Type != raft.LogCommand {
			f.changed()
			continue
		}
		e, err := f.codec.decode(l.Data)
		if err != nil {
			panic(fmt.Sprintf("consensus: log entry %d: %v", l.Index, err))
		}
		r := f.machine.Apply(l.Index, e.at(), e.Commands)
		if len(r) != len(e.Commands) {
			panic(fmt.Sprintf("consensus: log entry %d: %d replies to %d commands", l.Index, len(r), len(e.Commands)))
		}
		replies[i] = r
	}
	return replies
}

// Apply implements [raft.FSM].
func (f *fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// Snapshot implements [raft.FSM].
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	w, err := f.machine.Snapshot()
	if err != nil {
		return nil, err
	}
	return snapshot{w}, nil
}

// Restore implements [raft.FSM].
func (f *fsm) Restore(r io.ReadCloser) error {
	if err := f.machine.Restore(r); err != nil {
		f.unrestored = fmt.Errorf("restore machine: %w", err)
		return f.unrestored
	}
	f.changed()
	return nil
}

// A snapshot is a captured state on its way to disk.
type snapshot struct{ from io.WriterTo }

// Persist implements [raft.FSMSnapshot]. Raft closes the sink, or cancels it
// upon an error.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	_, err := s.from.WriteTo(sink)
	return err
}

// Release implements [raft.FSMSnapshot].
func (s snapshot) Release() {}
