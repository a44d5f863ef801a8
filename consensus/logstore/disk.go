package logstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
	wal "github.com/hashicorp/raft-wal"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// ErrInUse is returned for a folder that another process holds open.
var ErrInUse = errors.New("in use by another process")

const (
	// lockTimeout is how long Open waits for a process that is just ending.
	lockTimeout = 2 * time.Second

	// segmentSize is how large a piece of the log is, in bytes. It is
	// allocated whole, and given back whole.
	segmentSize = 8 << 20

	stableFile = "log.db"
	logFolder  = "log"
)

// keyOpened is written at each opening, so that a disk which takes no writes
// is found before raft, which would panic, needs it.
var keyOpened = []byte("Opened")

// files is a [Disk] on a file system: the entries in segments, each append one
// write and one sync, and the few stable values in a raft-boltdb file.
type files struct {
	*wal.WAL
	stable *boltdb.BoltStore
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
	stable, err := boltdb.New(boltdb.Options{Path: filepath.Join(dir, stableFile), BoltOptions: &bbolt.Options{
		Timeout:        lockTimeout,
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
	}})
	if errors.Is(err, berrors.ErrTimeout) {
		err = ErrInUse
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stable.Close())
		}
	}()
	if err := stable.SetUint64(keyOpened, 1); err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	folder := filepath.Join(dir, logFolder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	logger := opts.Log
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	entries, err := wal.Open(folder, wal.WithSegmentSize(segmentSize), wal.WithLogger(logger))
	if err != nil {
		return nil, err
	}
	if err := adopt(entries, stable); err != nil {
		return nil, errors.Join(fmt.Errorf("move older entries: %w", err), entries.Close())
	}
	return &files{entries, stable}, nil
}

// adoptBatch is how many entries move at a time.
const adoptBatch = 256

// adopt moves the entries that an older version kept beside the stable values.
// It goes on where it was interrupted: they are forgotten last.
func adopt(to *wal.WAL, from *boltdb.BoltStore) error {
	first, err := from.FirstIndex()
	if err != nil || first == 0 {
		return err
	}
	last, err := from.LastIndex()
	if err != nil {
		return err
	}
	have, err := to.LastIndex()
	if err != nil {
		return err
	}
	for next := max(first, have+1); next <= last; {
		var batch []*raft.Log
		for ; next <= last && len(batch) < adoptBatch; next++ {
			l := new(raft.Log)
			if err := from.GetLog(next, l); err != nil {
				return fmt.Errorf("entry %d: %w", next, err)
			}
			batch = append(batch, l)
		}
		if err := to.StoreLogs(batch); err != nil {
			return err
		}
	}
	return from.DeleteRange(first, last)
}

// Set implements [raft.StableStore].
func (f *files) Set(key, value []byte) error { return f.stable.Set(key, value) }

// Get implements [raft.StableStore].
func (f *files) Get(key []byte) ([]byte, error) { return f.stable.Get(key) }

// SetUint64 implements [raft.StableStore].
func (f *files) SetUint64(key []byte, value uint64) error { return f.stable.SetUint64(key, value) }

// GetUint64 implements [raft.StableStore].
func (f *files) GetUint64(key []byte) (uint64, error) { return f.stable.GetUint64(key) }

// Close implements [Disk].
func (f *files) Close() error { return errors.Join(f.WAL.Close(), f.stable.Close()) }
