package logstore

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Older versions kept the stable values, and even older ones the entries, in a
// raft-boltdb file.

// olderKeys are what such a file may have beside entries: raft's, and ours.
var olderKeys = [][]byte{[]byte("CurrentTerm"), []byte("LastVoteTerm"), []byte("LastVoteCand"), keyLast}

// adopt moves what an older version kept in dir. It goes on where it was
// interrupted: the file is there until all is moved.
func adopt(to *files, dir string) (err error) {
	defer recovered(&err)
	from, err := openOlder(filepath.Join(dir, olderFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if err := adoptEntries(to, from); err != nil {
		return err
	}
	values := make(map[string][]byte)
	for _, key := range olderKeys {
		switch value, err := from.Get(key); {
		case err == nil:
			values[string(key)] = value
		case !errors.Is(err, boltdb.ErrKeyNotFound):
			return err
		}
	}
	return to.stable.set(values)
}

func openOlder(path string) (*boltdb.BoltStore, error) {
	from, err := boltdb.New(boltdb.Options{Path: path, BoltOptions: &bbolt.Options{
		Timeout:        lockTimeout,
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
	}})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, ErrInUse
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, damaged("term and vote", err)
	}
	return from, err
}

// adoptBatch is how many entries move at a time.
const adoptBatch = 256

func adoptEntries(to *files, from *boltdb.BoltStore) error {
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
	return nil
}
