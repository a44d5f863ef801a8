package logstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	boltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// ErrInUse is returned for a file that another process holds open.
var ErrInUse = errors.New("in use by another process")

// lockTimeout is how long Open waits for a process that is just ending.
const lockTimeout = 2 * time.Second

// keyOpened is written at each opening, so that a disk which takes no writes
// is found before raft, which would panic, needs it.
var keyOpened = []byte("Opened")

// Open opens the log file at path, or makes an empty one.
func Open(path string, opts Options) (*Store, error) {
	if err := reserve(path); err != nil {
		return nil, fmt.Errorf("open log %s: %w", path, err)
	}
	disk, err := boltdb.New(boltdb.Options{Path: path, BoltOptions: boltOptions()})
	if errors.Is(err, berrors.ErrTimeout) {
		err = ErrInUse
	}
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", path, err)
	}
	if err := disk.SetUint64(keyOpened, 1); err != nil {
		return nil, errors.Join(fmt.Errorf("write log %s: %w", path, err), disk.Close())
	}
	return New(disk, opts), nil
}

// boltOptions keep a commit short: without the free list in it, two small
// writes and two syncs.
func boltOptions() *bbolt.Options {
	return &bbolt.Options{
		Timeout:         lockTimeout,
		NoFreelistSync:  true,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: 64 << 20,
	}
}

// reserved is how much of the file is written when it is made. A sync over
// blocks that were never written costs the file system a journal commit.
const reserved = 8 << 20

// reserve makes a new log file with its first blocks written. It does nothing
// to one that exists.
func reserve(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	staged := path + ".new"
	if err := os.Remove(staged); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := bbolt.Open(staged, 0o600, boltOptions())
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	if err := extend(staged, reserved); err != nil {
		return err
	}
	if err := os.Rename(staged, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// extend writes zeros behind the end of a file until it has size bytes.
func extend(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		zeros := make([]byte, max(0, size-info.Size()))
		_, err = f.WriteAt(zeros, info.Size())
	}
	return errors.Join(err, f.Sync(), f.Close())
}
