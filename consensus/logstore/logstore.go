// Package logstore keeps raft's log and its few stable values on one disk that
// may be slow, hang or fail.
//
// [Open] puts a [Store] over files in a folder; [New] puts one over any
// [Disk]. All writes go through one goroutine, in order, so that a write which
// never returns holds up nobody who can do without it:
//
//   - [Store.Stalled] tells that a write takes suspiciously long. Whoever leads
//     should fall silent until it is over, so that another can be elected.
//   - A write that fails, or outlasts the write timeout, breaks the store for
//     good: see [Store.Broken]. It may have landed or not, and writing on after
//     it could leave entries of an older term behind newer ones. Opening the
//     file again shows what is there.
//
// A leader need not wait for its own disk before it sends entries to the
// others. When the owner allows it (see [Options.Early]), StoreLogs returns
// before the entries are durable, and [Store.Durable] waits for them; package
// consensus counts no acknowledgement before that.
package logstore

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// A Disk is what keeps the log, without gaps. Each write is durable when it
// returns.
type Disk interface {
	raft.LogStore
	raft.StableStore
	Close() error
}

// ErrTimeout is why a store broke whose disk did not answer in time.
var ErrTimeout = errors.New("disk does not answer")

var errClosed = errors.New("log store closed")

// Options tune a [Store].
type Options struct {
	// WriteTimeout is how long one write may take before the store counts as
	// broken. Default 10s.
	WriteTimeout time.Duration

	// StallAfter is how long a write may take before Stalled tells of it.
	// Default 2s, at most WriteTimeout.
	StallAfter time.Duration

	// Log receives what [Open] and its files have to tell. Default: discarded.
	Log hclog.Logger

	// Early tells whether entries may be reported as stored before they are.
	// It is asked for each StoreLogs, by the goroutine that called it. Nil
	// means never.
	Early func() bool
}

func (o Options) withDefaults() Options {
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 10*time.Second)
	o.StallAfter = min(cmp.Or(o.StallAfter, 2*time.Second), o.WriteTimeout)
	return o
}

// maxQueued bounds the writes that wait for the disk. Whoever comes then waits.
const maxQueued = 64

// A Store is a [raft.LogStore] and a [raft.StableStore]. Its methods may be
// called by many goroutines.
type Store struct {
	// Set once.
	disk      Disk
	opts      Options
	work      chan *write
	broken    chan struct{} // closed with err set
	abandoned chan struct{} // closed by Abandon
	stopped   chan struct{} // closed when the writer has ended

	stalled atomic.Bool
	damage  atomic.Pointer[error]

	mu      sync.Mutex
	err     error    // why broken
	current *write   // being done
	early   []*write // reported as stored but not yet durable, oldest first
	closed  bool
}

// A write is one deed for the disk. Its outcome is err once done is closed.
type write struct {
	do    func() error
	logs  []*raft.Log // of an early write
	timer *time.Timer // since it is being done
	err   error
	done  chan struct{}
}

// New returns a store over disk, which it owns from now on.
func New(disk Disk, opts Options) *Store {
	s := &Store{
		disk:      disk,
		opts:      opts.withDefaults(),
		work:      make(chan *write, maxQueued),
		broken:    make(chan struct{}),
		abandoned: make(chan struct{}),
		stopped:   make(chan struct{}),
	}
	go s.run()
	return s
}

// run does the writes in order until the store is closed.
func (s *Store) run() {
	defer close(s.stopped)
	for {
		select {
		case <-s.abandoned:
			return
		case w := <-s.work:
			s.perform(w)
		}
	}
}

func (s *Store) perform(w *write) {
	s.mu.Lock()
	if w.err = s.err; w.err == nil {
		s.current = w
		w.timer = time.AfterFunc(s.opts.StallAfter, func() { s.overdue(w) })
	}
	s.mu.Unlock()

	if w.err == nil {
		w.err = w.do()
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
	s.current = nil
	if w.err != nil {
		s.failLocked(w.err)
	}
	s.stalled.Store(s.err != nil)
	if w.logs != nil {
		s.early = s.early[1:]
	}
	close(w.done)
}

// overdue is called when w is still being done at StallAfter, and again at
// WriteTimeout.
func (s *Store) overdue(w *write) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.current != w: // done meanwhile
	case s.stalled.CompareAndSwap(false, true):
		w.timer.Reset(s.opts.WriteTimeout - s.opts.StallAfter)
	default:
		s.failLocked(fmt.Errorf("%w within %v", ErrTimeout, s.opts.WriteTimeout))
	}
}

func (s *Store) failLocked(err error) {
	if s.err == nil {
		s.err = err
		close(s.broken)
	}
}

// Stalled reports whether the write under way takes longer than it should, or
// the store is broken.
func (s *Store) Stalled() bool { return s.stalled.Load() }

// Broken is closed once a write has failed or timed out; nothing can be
// written from then on. Err says why.
func (s *Store) Broken() <-chan struct{} { return s.broken }

// Err returns why the store is broken, or nil.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Durable waits until every entry up to index is on disk. An error means that
// it may never be.
func (s *Store) Durable(index uint64) error {
	s.mu.Lock()
	err := s.err
	var last *write
	for _, w := range s.early {
		if w.logs[0].Index > index {
			break
		}
		last = w
	}
	s.mu.Unlock()
	if err != nil || last == nil {
		return err
	}
	select {
	case <-last.done:
		return last.err
	case <-s.broken:
		return s.Err()
	}
}

// submit hands w to the writer.
func (s *Store) submit(w *write) error {
	select {
	case s.work <- w:
		return nil
	case <-s.broken:
		return s.Err()
	case <-s.abandoned:
		return errClosed
	}
}

// await does a write and waits for its outcome, or until the store breaks.
func (s *Store) await(do func() error) error {
	w := &write{do: do, done: make(chan struct{})}
	if err := s.submit(w); err != nil {
		return err
	}
	select {
	case <-w.done:
		return w.err
	case <-s.broken:
		return s.Err()
	case <-s.abandoned:
		return errClosed
	}
}

// StoreLog stores one entry.
func (s *Store) StoreLog(log *raft.Log) error { return s.StoreLogs([]*raft.Log{log}) }

// StoreLogs appends entries. A change of the configuration is always durable
// when it returns, and so is everything before it.
func (s *Store) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	do := func() error { return s.disk.StoreLogs(logs) }
	if s.opts.Early == nil || changesConfiguration(logs) || !s.opts.Early() {
		return s.await(do)
	}
	w := &write{do: do, logs: logs, done: make(chan struct{})}
	s.mu.Lock()
	if s.err != nil {
		defer s.mu.Unlock()
		return s.err
	}
	s.early = append(s.early, w)
	s.mu.Unlock()
	return s.submit(w)
}

func changesConfiguration(logs []*raft.Log) bool {
	for _, l := range logs {
		if l.Type == raft.LogConfiguration {
			return true
		}
	}
	return false
}

// GetLog reads an entry, written early or long ago.
func (s *Store) GetLog(index uint64, log *raft.Log) error {
	s.mu.Lock()
	for _, w := range s.early {
		if first := w.logs[0].Index; index >= first && index < first+uint64(len(w.logs)) {
			*log = *w.logs[index-first]
			s.mu.Unlock()
			return nil
		}
	}
	s.mu.Unlock()
	err := s.disk.GetLog(index, log)
	if errors.Is(err, ErrDamaged) {
		s.damage.CompareAndSwap(nil, &err)
	}
	return err
}

// Damage returns the first entry that was read and is not what was written, as
// an [ErrDamaged], or nil.
func (s *Store) Damage() error {
	if err := s.damage.Load(); err != nil {
		return *err
	}
	return nil
}

// IsMonotonic implements [raft.MonotonicLogStore]: a snapshot from elsewhere
// makes raft begin anew, rather than leave a gap.
func (s *Store) IsMonotonic() bool { return true }

// FirstIndex returns the index of the oldest entry kept, or 0.
func (s *Store) FirstIndex() (uint64, error) { return s.disk.FirstIndex() }

// LastIndex returns the index of the newest entry, or 0.
func (s *Store) LastIndex() (uint64, error) {
	s.mu.Lock()
	if n := len(s.early); n > 0 {
		defer s.mu.Unlock()
		logs := s.early[n-1].logs
		return logs[len(logs)-1].Index, nil
	}
	s.mu.Unlock()
	return s.disk.LastIndex()
}

// DeleteRange forgets the entries from low to high.
func (s *Store) DeleteRange(low, high uint64) error {
	return s.await(func() error { return s.disk.DeleteRange(low, high) })
}

// Set stores a stable value.
func (s *Store) Set(key, value []byte) error {
	return s.stable(func() error { return s.disk.Set(key, value) })
}

// SetUint64 stores a stable number.
func (s *Store) SetUint64(key []byte, value uint64) error {
	return s.stable(func() error { return s.disk.SetUint64(key, value) })
}

// stable does a write whose failure raft does not survive: it panics when it
// cannot store a term. So on a broken store the caller waits until the store
// is abandoned. Nothing that rests on the value can leave the node by then,
// because its owner closes the streams first.
func (s *Store) stable(do func() error) error {
	if err := s.await(do); err != nil {
		<-s.abandoned
	}
	return nil
}

// Get reads a stable value.
func (s *Store) Get(key []byte) ([]byte, error) { return s.disk.Get(key) }

// GetUint64 reads a stable number.
func (s *Store) GetUint64(key []byte) (uint64, error) { return s.disk.GetUint64(key) }

// Abandon ends the writer and lets go of all who wait for the disk. Nothing is
// written from then on.
func (s *Store) Abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.abandoned)
	}
}

// Close abandons the store and closes the disk. If the store is broken, it
// returns why; a disk that hangs is left to itself.
func (s *Store) Close() error {
	s.Abandon()
	select {
	case <-s.stopped:
		return errors.Join(s.Err(), s.disk.Close())
	case <-s.broken:
	}
	select {
	case <-s.stopped: // broken, but not hung
		return errors.Join(s.Err(), s.disk.Close())
	default:
		return s.Err()
	}
}
