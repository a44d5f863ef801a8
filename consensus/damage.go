package consensus

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/slapmesh/slapmesh/consensus/logstore"
)

// ErrDamaged is in what [Open] returns for a seat whose files are not what was
// written. It has nothing to say any more: what it acknowledged may be gone. The
// peer needs another seat, which the others fill.
var ErrDamaged = logstore.ErrDamaged

// checkedSnapshots are snapshots that are all there and whole. Raft would take
// an older one, or none, for one that it cannot read, and the entries between
// are gone.
type checkedSnapshots struct {
	*raft.FileSnapshotStore
	dir    string
	damage atomic.Pointer[error] // what was found
}

// List implements [raft.SnapshotStore].
func (s *checkedSnapshots) List() ([]*raft.SnapshotMeta, error) {
	list, err := s.FileSnapshotStore.List()
	if err != nil {
		return nil, err
	}
	found, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	whole := 0
	for _, f := range found {
		if f.IsDir() && !strings.HasSuffix(f.Name(), ".tmp") {
			whole++
		}
	}
	if len(list) < min(whole, keepSnapshots) {
		return nil, s.damaged(fmt.Errorf("%w: of %d snapshots %d can be read", ErrDamaged, whole, len(list)))
	}
	for _, meta := range list {
		if err := s.check(meta.ID); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Raft has a checksum of the state, and none of what it says of that: the
// configuration is there. So that has one beside it, in hexadecimal.
const (
	metaFile = "meta.json"
	sumFile  = "meta.crc32c"
)

func (s *checkedSnapshots) sum(id string) (string, error) {
	meta, err := os.ReadFile(filepath.Join(s.dir, id, metaFile))
	return fmt.Sprintf("%08x\n", crc32.Checksum(meta, crc32.MakeTable(crc32.Castagnoli))), err
}

// check compares what is said of a snapshot with what was. One from before
// there was a sum, or that was made in the moment of a crash, has none.
func (s *checkedSnapshots) check(id string) error {
	want, err := os.ReadFile(filepath.Join(s.dir, id, sumFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	got, sumErr := s.sum(id)
	switch err := errors.Join(err, sumErr); {
	case err != nil:
		return err
	case len(bytes.TrimRight(want, "\x00")) < len(got): // cut short by a crash
	case got != string(want):
		return s.damaged(fmt.Errorf("%w: snapshot %s: what is said of it is not what was written", ErrDamaged, id))
	}
	return nil
}

// Create implements [raft.SnapshotStore].
func (s *checkedSnapshots) Create(version raft.SnapshotVersion, index, term uint64, servers raft.Configuration, at uint64, t raft.Transport) (raft.SnapshotSink, error) {
	sink, err := s.FileSnapshotStore.Create(version, index, term, servers, at, t)
	if err != nil {
		return nil, err
	}
	return summedSink{sink, s}, nil
}

// A summedSink adds the sum to a snapshot that is complete.
type summedSink struct {
	raft.SnapshotSink
	store *checkedSnapshots
}

// Close implements [raft.SnapshotSink].
func (k summedSink) Close() error {
	if err := k.SnapshotSink.Close(); err != nil {
		return err
	}
	sum, err := k.store.sum(k.ID())
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(k.store.dir, k.ID(), sumFile), []byte(sum), 0o600)
}

// Open implements [raft.SnapshotStore].
func (s *checkedSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, r, err := s.FileSnapshotStore.Open(id)
	if err != nil && !logstore.Refused(err) {
		err = s.damaged(fmt.Errorf("%w: snapshot %s: %w", ErrDamaged, id, err))
	}
	return meta, r, err
}

func (s *checkedSnapshots) damaged(err error) error {
	s.damage.CompareAndSwap(nil, &err)
	return err
}

// Damage returns the first damage that was found, or nil.
func (s *checkedSnapshots) Damage() error {
	if err := s.damage.Load(); err != nil {
		return *err
	}
	return nil
}

// newRaft is raft.NewRaft, but for the panic of one that does not find in its
// log what must be there.
func newRaft(conf *raft.Config, machine raft.FSM, logs raft.LogStore, stable raft.StableStore, snapshots raft.SnapshotStore, t raft.Transport) (r *raft.Raft, err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		cause, ok := p.(error)
		if !ok || !errors.Is(cause, raft.ErrLogNotFound) && !errors.Is(cause, ErrDamaged) {
			panic(p)
		}
		if err = cause; !errors.Is(cause, ErrDamaged) {
			err = fmt.Errorf("%w: entries behind the newest snapshot: %w", ErrDamaged, cause)
		}
	}()
	return raft.NewRaft(conf, machine, logs, stable, snapshots, t)
}
