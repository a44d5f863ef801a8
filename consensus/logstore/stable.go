package logstore

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
)

// The files of the stable values.
const (
	stableFile = "stable"
	olderFile  = "log.db" // a raft-boltdb store, or what says that it has moved
)

// movedNote is in place of an older version's file, which that refuses to
// open then: it would not know of any vote since.
const movedNote = "The term and the vote of this seat are in the file \"stable\": a newer slapd wrote it.\n"

// errNotFound is what raft knows by this text.
var errNotFound = errors.New("not found")

// stable keeps raft's few values, such as its term and its vote: who forgets a
// vote votes twice. They are in one small file, which a change replaces: a line
// with the CRC-32C of what follows, in hexadecimal, and the values in JSON,
// each in base64.
type stable struct {
	dir string

	mu     sync.Mutex
	values map[string][]byte
}

// openStable opens the values in dir. It makes an empty file where no seat has
// been yet; older says that an older version's is to be moved.
func openStable(dir string) (s *stable, older bool, err error) {
	s = &stable{dir: dir, values: make(map[string][]byte)}
	data, err := os.ReadFile(filepath.Join(dir, stableFile))
	switch {
	case err == nil:
		s.values, err = parseStable(data)
		return s, false, err
	case !errors.Is(err, fs.ErrNotExist):
		return nil, false, err
	}
	was, err := os.ReadFile(filepath.Join(dir, olderFile))
	if err == nil && string(was) != movedNote {
		return s, true, nil
	}
	_, logged := os.Stat(filepath.Join(dir, logFolder))
	switch {
	case err == nil, logged == nil: // both are made later
		return nil, false, damaged("term and vote are gone", nil)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, false, err
	case !errors.Is(logged, fs.ErrNotExist):
		return nil, false, logged
	}
	return s, false, s.write(s.values)
}

func stableSum(values []byte) string {
	return fmt.Sprintf("crc32c %08x\n", crc32.Checksum(values, castagnoli))
}

func parseStable(data []byte) (values map[string][]byte, err error) {
	head, tail, _ := bytes.Cut(data, []byte("\n"))
	if string(head)+"\n" != stableSum(tail) {
		return nil, damaged("term and vote are not what was written", nil)
	}
	if err := json.Unmarshal(tail, &values); err != nil || values == nil {
		return nil, damaged("term and vote", err)
	}
	return values, nil
}

// write replaces the file.
func (s *stable) write(values map[string][]byte) error {
	data, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return replace(s.dir, stableFile, stableSum(data)+string(data))
}

// noteMoved has older versions refuse the folder.
func (s *stable) noteMoved() error {
	if was, err := os.ReadFile(filepath.Join(s.dir, olderFile)); err == nil && string(was) == movedNote {
		return nil
	}
	return replace(s.dir, olderFile, movedNote)
}

// replace writes a file anew, whole or not at all.
func replace(dir, name, text string) (err error) {
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// set stores all of the values that are given, at once.
func (s *stable) set(values map[string][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := maps.Clone(s.values)
	maps.Copy(all, values)
	if err := s.write(all); err != nil {
		return fmt.Errorf("write term and vote: %w", err)
	}
	s.values = all
	return nil
}

// Set implements [raft.StableStore].
func (s *stable) Set(key, value []byte) error {
	return s.set(map[string][]byte{string(key): bytes.Clone(value)})
}

// Get implements [raft.StableStore].
func (s *stable) Get(key []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok := s.values[string(key)]
	if !ok {
		return nil, errNotFound
	}
	return bytes.Clone(value), nil
}

// SetUint64 implements [raft.StableStore].
func (s *stable) SetUint64(key []byte, value uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 implements [raft.StableStore].
func (s *stable) GetUint64(key []byte) (uint64, error) {
	value, err := s.Get(key)
	switch {
	case err != nil:
		return 0, err
	case len(value) != 8:
		return 0, damaged(fmt.Sprintf("%s has %d bytes, 8 expected", key, len(value)), nil)
	}
	return binary.BigEndian.Uint64(value), nil
}
