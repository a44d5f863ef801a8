package consensustest

import (
	"errors"
	"sync"

	"github.com/hashicorp/raft"
)

// ErrDisk is what a failed disk returns.
var ErrDisk = errors.New("input/output error")

// A Disk keeps a log in memory, and misbehaves when told to. It is a
// logstore.Disk. What was written stays, whatever happens to its user.
type Disk struct {
	*raft.InmemStore

	mu     sync.Mutex
	writes int
	failAt int           // the write that fails, and all after it; 0 for none
	torn   bool          // the first that fails takes effect all the same
	hung   chan struct{} // writes wait until it is closed; nil for none
}

// NewDisk returns an empty disk.
func NewDisk() *Disk { return &Disk{InmemStore: raft.NewInmemStore()} }

// FailAfter lets n more writes succeed and fails all others. If torn, the
// first of these takes effect although it fails, as when power goes between
// the deed and the answer.
func (d *Disk) FailAfter(n int, torn bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failAt, d.torn = d.writes+n+1, torn
}

// Hang makes writes wait for Mend.
func (d *Disk) Hang() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hung = make(chan struct{})
}

// Mend ends all misbehaviour.
func (d *Disk) Mend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hung != nil {
		close(d.hung)
	}
	d.hung, d.failAt = nil, 0
}

func (d *Disk) write(do func() error) error {
	d.mu.Lock()
	hung := d.hung
	d.mu.Unlock()
	if hung != nil {
		<-hung
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes++
	switch {
	case d.failAt == 0 || d.writes < d.failAt:
		return do()
	case d.writes == d.failAt && d.torn:
		return errors.Join(ErrDisk, do())
	}
	return ErrDisk
}

// StoreLogs implements [raft.LogStore].
func (d *Disk) StoreLogs(logs []*raft.Log) error {
	return d.write(func() error { return d.InmemStore.StoreLogs(logs) })
}

// StoreLog implements [raft.LogStore].
func (d *Disk) StoreLog(log *raft.Log) error { return d.StoreLogs([]*raft.Log{log}) }

// DeleteRange implements [raft.LogStore].
func (d *Disk) DeleteRange(low, high uint64) error {
	return d.write(func() error { return d.InmemStore.DeleteRange(low, high) })
}

// Set implements [raft.StableStore].
func (d *Disk) Set(key, value []byte) error {
	return d.write(func() error { return d.InmemStore.Set(key, value) })
}

// SetUint64 implements [raft.StableStore].
func (d *Disk) SetUint64(key []byte, value uint64) error {
	return d.write(func() error { return d.InmemStore.SetUint64(key, value) })
}

// Close implements io.Closer. The contents stay.
func (d *Disk) Close() error { return nil }
