package store

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// version is that of the layout. A folder of a newer one is left alone.
const version = "1"

// The folders of a store.
const (
	packagesDir = "package" // package/DIGEST/{manifest,manifest.sum,files/…}
	treesDir    = "tree"    // tree/DIGEST/{manifest,root/…}
	filesDir    = "file"    // file/XX/SHA256[x]: content, under one more name in each tree that has it
	partialDir  = "partial" // partial/TREE/SHA256[x]: files of a tree that is still on its way
	recordsDir  = "record"  // record/NAME: small files of the store's users
	stagingDir  = "staging" // what is being made
)

const (
	manifestName = "manifest"
	sumName      = "manifest.sum" // SHA-256 of a package's manifest, whose name is another digest
	filesName    = "files"
	rootName     = "root"
)

// A Store is a folder of packages and trees.
type Store struct {
	dir string
}

// Open opens the store in dir, which is made if need be, and removes what
// dead processes have left in its staging folder.
func Open(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	s := &Store{dir: dir}
	if err := s.open(); err != nil {
		return nil, s.explain(err)
	}
	return s, nil
}

func (s *Store) open() error {
	_, err := os.Lstat(s.dir)
	for _, name := range []string{packagesDir, treesDir, filesDir, partialDir, recordsDir, stagingDir} {
		if err := os.MkdirAll(filepath.Join(s.dir, name), 0o755); err != nil {
			return err
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		if err := syncDir(filepath.Dir(s.dir)); err != nil {
			return err
		}
	}
	if err := checkOwner(s.dir); err != nil {
		return err
	}
	found, err := os.ReadFile(filepath.Join(s.dir, "version"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = s.writeAtomic("version", []byte(version+"\n"))
	case err == nil && strings.TrimSpace(string(found)) != version:
		err = fmt.Errorf("its layout is version %.20q, this program knows %s: use a newer program or another folder",
			strings.TrimSpace(string(found)), version)
	}
	if err != nil {
		return err
	}
	return s.sweep()
}

// Dir returns the store's folder.
func (s *Store) Dir() string { return s.dir }

// recordName is what a record may be called.
var recordName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,127}$`)

// maxRecord bounds a record.
const maxRecord = 4 << 20

// PutRecord keeps a small file under a name, replacing the one before.
func (s *Store) PutRecord(name string, data []byte) error {
	if !recordName.MatchString(name) || len(data) > maxRecord {
		return fmt.Errorf("store: record %.40q: bad name, or more than %d bytes", name, maxRecord)
	}
	if err := s.writeAtomic(filepath.Join(recordsDir, name), data); err != nil {
		return s.explain(fmt.Errorf("record %s: %w", name, err))
	}
	return nil
}

// Record returns what was kept under a name; the error is fs.ErrNotExist
// when there is nothing.
func (s *Store) Record(name string) ([]byte, error) {
	if !recordName.MatchString(name) {
		return nil, fmt.Errorf("store: record %.40q: bad name: %w", name, fs.ErrNotExist)
	}
	return readFile(filepath.Join(s.dir, recordsDir, name), maxRecord)
}

func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return data, err
}

// writeAtomic writes a file of the store so that it is there whole or not at
// all, also after a power cut.
func (s *Store) writeAtomic(name string, data []byte) (err error) {
	guard, err := s.guard()
	if err != nil {
		return err
	}
	defer func() { _ = guard.Close() }()
	f, err := os.CreateTemp(filepath.Join(s.dir, stagingDir), "file-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(s.dir, name))
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(filepath.Join(s.dir, name)))
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// checkDigest refuses what is not the hex form of a SHA-256.
func checkDigest(digest string) error {
	if sum, err := hex.DecodeString(digest); err != nil || len(sum) != 32 || strings.ToLower(digest) != digest {
		return fmt.Errorf("digest %.80q is not 64 small hexadecimal digits", digest)
	}
	return nil
}
