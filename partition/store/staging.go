package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A staging is a folder in which something is made. As long as its process
// lives it holds a lock beside it.
type staging struct {
	store *Store
	dir   string
	lock  *os.File
}

const lockSuffix = ".lock"

// gonePrefix begins the names of what was removed and is nobody's any more.
const gonePrefix = "gone-"

// stage makes a staging folder.
func (s *Store) stage() (*staging, error) {
	guard, err := s.guard()
	if err != nil {
		return nil, err
	}
	defer func() { _ = guard.Close() }()
	dir, err := os.MkdirTemp(filepath.Join(s.dir, stagingDir), "make-")
	if err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(dir+lockSuffix, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = lockFile(lock, false)
	}
	if err != nil {
		if lock != nil {
			_ = lock.Close()
		}
		_ = os.Remove(dir + lockSuffix)
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return &staging{s, dir, lock}, nil
}

// guard is held while staging folders appear, while small files are written
// and while dead ones are looked for, so that none is taken for dead before its
// time.
func (s *Store) guard() (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(s.dir, stagingDir, "guard"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f, true); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// discard removes the staging folder and what is in it.
func (t *staging) discard() {
	_ = os.RemoveAll(t.dir)
	_ = os.Remove(t.dir + lockSuffix)
	_ = t.lock.Close()
}

// publish gives what was made its name, for good once its folder is synced. Who
// is first wins: names are digests, so the other one is as good.
// What is not whole there, as an older program or somebody's hand has left it,
// gives way.
func (t *staging) publish(from, kind, digest string) error {
	to := filepath.Join(t.store.dir, kind, digest)
	err := os.Rename(from, to)
	if err == nil || whole(kind, to) {
		return nil
	}
	if _, there := os.Lstat(to); there != nil {
		return err
	}
	if kind == treesDir { // somebody may be using it
		return t.store.mend(from, digest)
	}
	if rerr := t.store.remove(filepath.Join(kind, digest)); rerr != nil {
		return errors.Join(err, rerr)
	}
	return os.Rename(from, to)
}

// sweep removes the staging folders of dead processes.
func (s *Store) sweep() error {
	guard, err := s.guard()
	if err != nil {
		return err
	}
	defer func() { _ = guard.Close() }()
	dir := filepath.Join(s.dir, stagingDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		name := filepath.Join(dir, entry.Name())
		switch {
		case strings.HasPrefix(entry.Name(), "file-"):
			errs = append(errs, ignoreMissing(os.Remove(name)))
		case strings.HasPrefix(entry.Name(), gonePrefix):
			errs = append(errs, os.RemoveAll(name))
		case entry.IsDir():
			errs = append(errs, sweepDir(name))
		}
	}
	for _, entry := range entries { // locks whose folder is gone
		if name, ok := strings.CutSuffix(filepath.Join(dir, entry.Name()), lockSuffix); ok {
			if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, sweepDir(name))
			}
		}
	}
	return errors.Join(errs...)
}

// sweepDir removes a staging folder if nobody holds its lock.
func sweepDir(dir string) error {
	lock, err := os.OpenFile(dir+lockSuffix, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := lockFile(lock, false); errors.Is(err, errLocked) {
		return nil
	} else if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return ignoreMissing(os.Remove(dir + lockSuffix))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
