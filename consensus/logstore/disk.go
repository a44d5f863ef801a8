package logstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/segment"
)

// ErrInUse is returned for a folder that another process holds open.
var ErrInUse = errors.New("in use by another process")

const (
	// lockTimeout is how long Open waits for a process that is just ending.
	lockTimeout = 2 * time.Second
	lockPause   = 20 * time.Millisecond

	// segmentSize is how large a piece of the log is, in bytes. It is
	// allocated whole, and given back whole.
	segmentSize = 8 << 20

	logFolder = "log"
	lockFile  = "lock"
)

// keyLast is the last entry that was there when the log was opened or closed.
// It is written at each opening, so that a disk which takes no writes is found
// before raft, which would panic, needs it; and a log that ends before it has
// lost entries.
var keyLast = []byte("Last")

// files is a [Disk] on a file system: the entries in segments, each append one
// write and one sync, and the few stable values in a file of their own.
type files struct {
	*wal.WAL
	stable *stable
	lock   *os.File
}

// Open opens the log in folder dir, which must exist, or makes an empty one.
func Open(dir string, opts Options) (*Store, error) {
	disk, err := openFiles(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("open log in %s: %w", dir, err)
	}
	return New(disk, opts), nil
}

func openFiles(dir string, opts Options) (_ *files, err error) {
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	values, older, err := openStable(dir)
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(dir, logFolder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	logger := opts.Log
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	entries, err := openEntries(folder, logger)
	if err != nil {
		return nil, err
	}
	f := &files{entries, values, lock}
	if older {
		if err := adopt(f, dir); err != nil {
			return nil, errors.Join(fmt.Errorf("move an older log: %w", err), entries.Close())
		}
	}
	if err := errors.Join(f.stable.noteMoved(), f.complete(), f.noteLast()); err != nil {
		return nil, errors.Join(err, entries.Close())
	}
	return f, nil
}

// lockFolder keeps other processes out of dir for as long as what it returns
// is open.
func lockFolder(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	again := time.NewTicker(lockPause)
	defer again.Stop()
	for waited := time.Duration(0); ; waited += lockPause {
		err = tryLock(lock)
		switch {
		case err == nil:
			return lock, nil
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return nil, errors.Join(fmt.Errorf("lock: %w", err), lock.Close())
		case waited >= lockTimeout:
			return nil, errors.Join(ErrInUse, lock.Close())
		}
		<-again.C
	}
}

// openEntries opens what holds the entries.
func openEntries(folder string, logger hclog.Logger) (_ *wal.WAL, err error) {
	defer recovered(&err)
	entries, err := wal.Open(folder, wal.WithSegmentSize(segmentSize), wal.WithLogger(logger),
		wal.WithSegmentFiler(segment.NewFiler(folder, segments{fs.New()})))
	if err != nil && !Refused(err) {
		return nil, damaged("entries", err)
	}
	return entries, err
}

// complete says what is missing of a log at its end.
func (f *files) complete() error {
	last, err := f.LastIndex()
	if err != nil {
		return err
	}
	had, err := f.GetUint64(keyLast)
	if err != nil && !errors.Is(err, errNotFound) {
		return err
	}
	if last < had {
		return damaged(fmt.Sprintf("entries %d to %d are gone", last+1, had), nil)
	}
	return nil
}

// noteLast remembers where the log ends.
func (f *files) noteLast() error {
	last, err := f.LastIndex()
	if err == nil {
		err = f.SetUint64(keyLast, last)
	}
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// Set implements [raft.StableStore].
func (f *files) Set(key, value []byte) error { return f.stable.Set(key, value) }

// Get implements [raft.StableStore].
func (f *files) Get(key []byte) ([]byte, error) { return f.stable.Get(key) }

// SetUint64 implements [raft.StableStore].
func (f *files) SetUint64(key []byte, value uint64) error { return f.stable.SetUint64(key, value) }

// GetUint64 implements [raft.StableStore].
func (f *files) GetUint64(key []byte) (uint64, error) { return f.stable.GetUint64(key) }

// StoreLog implements [raft.LogStore].
func (f *files) StoreLog(l *raft.Log) error { return f.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements [raft.LogStore].
func (f *files) StoreLogs(logs []*raft.Log) error {
	sealed, kept := make([]*raft.Log, len(logs)), make([]raft.Log, len(logs))
	for n, l := range logs {
		kept[n] = *l
		kept[n].Extensions = seal(l)
		sealed[n] = &kept[n]
	}
	return f.WAL.StoreLogs(sealed)
}

// GetLog implements [raft.LogStore].
func (f *files) GetLog(index uint64, l *raft.Log) (err error) {
	defer recovered(&err)
	switch err := f.WAL.GetLog(index, l); {
	case errors.Is(err, raft.ErrLogNotFound) || Refused(err):
		return err
	case err != nil:
		return damaged(fmt.Sprintf("entry %d", index), err)
	case l.Index != index || !unseal(l):
		return damaged(fmt.Sprintf("entry %d is not what was written", index), nil)
	}
	return nil
}

// DeleteRange implements [raft.LogStore].
func (f *files) DeleteRange(low, high uint64) error {
	first, err1 := f.FirstIndex()
	last, err2 := f.LastIndex()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if high >= last { // it ends earlier from now on, and that is no loss
		end := low - 1
		if low <= first {
			end = 0
		}
		if err := f.SetUint64(keyLast, end); err != nil {
			return err
		}
	}
	return f.WAL.DeleteRange(low, high)
}

// Close implements [Disk].
func (f *files) Close() error {
	return errors.Join(f.noteLast(), f.WAL.Close(), f.lock.Close())
}
