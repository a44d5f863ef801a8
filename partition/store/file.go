package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A CorruptError says that something in the store is not what its digest says:
// a disk has flipped a bit, or somebody has edited a file.
type CorruptError struct {
	What string // "package" or "tree"
	Name string // its digest
	Path string // of the file
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s %.12s: %s is not what it was: it is to be made again", e.What, e.Name, e.Path)
}

// shared returns where the one copy of a file's content is, whatever the trees
// that have it call it.
func (s *Store) shared(e Entry) string {
	name := contentName(e)
	return filepath.Join(s.dir, filesDir, name[:2], name)
}

// contentName names content. A file and a program of one content are two, for
// all names of one file have one mode.
func contentName(e Entry) string {
	name := hex.EncodeToString(e.Sum)
	if e.Executable {
		name += "x"
	}
	return name
}

// placeFile makes a file of a tree: another name of the content that the store
// has, else of what from is. What it made has been read, and is what the entry
// says.
func (c *Composer) placeFile(e Entry, from, to string) error {
	shared := c.staging.store.shared(e)
	err := linkFile(e, shared, to)
	if err == nil || !errors.Is(err, errWrong) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if errors.Is(err, errWrong) {
		if err := errors.Join(os.Remove(to), ignoreMissing(os.Remove(shared))); err != nil {
			return err
		}
	}
	if from == "" {
		return fs.ErrNotExist
	}
	if err := linkFile(e, from, to); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(shared), 0o755); err != nil {
		return err
	}
	if err := os.Link(to, shared); err != nil && !errors.Is(err, fs.ErrExist) && !mayCopy(err) {
		return err
	}
	return nil
}

// linkFile makes another name of a file, and reads what it made. Where there
// cannot be another name it makes a copy, which becomes the one that is shared
// if from is shared content with as many names as a file may have.
func linkFile(e Entry, from, to string) error {
	err := os.Link(from, to)
	if err != nil && mayCopy(err) {
		full := isMany(err)
		if err = copyFile(from, to, e.mode()); err == nil && full {
			err = replaceBy(to, from)
		}
	}
	if err == nil {
		err = checkFile(e, to)
	}
	return err
}

// replaceBy gives the name of a file that can have no more names to its copy.
// That somebody else is doing the same does no harm.
func replaceBy(copied, name string) error {
	spare := copied + ".spare"
	err := os.Link(copied, spare)
	if err == nil {
		err = os.Rename(spare, name)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(spare)))
	}
	return nil
}

// errWrong says that a file has another content than its entry.
var errWrong = errors.New("is not what it was")

func checkFile(e Entry, name string) error {
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != e.Size || info.Mode()&0o111 != 0 != e.Executable {
		return errWrong
	}
	sum, err := sumFile(name)
	if err == nil && !bytes.Equal(sum, e.Sum) {
		err = errWrong
	}
	return err
}

// RemovePackage removes a package. Trees that were made of it keep what they
// have.
func (s *Store) RemovePackage(digest string) error {
	if err := checkDigest(digest); err != nil {
		return fmt.Errorf("store %s: package: %w", s.dir, err)
	}
	return s.remove(filepath.Join(packagesDir, digest))
}

// remove takes the name from a folder at once, and for good before anything in
// it goes, so that what is left when this is interrupted is never taken for what
// it was. It makes nothing new: it must do on a full disk.
func (s *Store) remove(name string) error {
	from := filepath.Join(s.dir, name)
	gone := filepath.Join(s.dir, stagingDir, gonePrefix+rand.Text())
	err := os.Rename(from, gone)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(filepath.Dir(from))
	}
	if err == nil {
		err = os.RemoveAll(gone)
	}
	return s.explain(err)
}

// Repair reads all shared content and removes what has come to harm, so that no
// tree is made of it from now on. It returns how many files were removed.
func (s *Store) Repair(ctx context.Context) (removed int, err error) {
	err = s.eachShared(func(name string, e Entry, info fs.FileInfo) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		e.Size = info.Size()
		err := checkFile(e, name)
		if errors.Is(err, errWrong) {
			removed++
			err = os.Remove(name)
		}
		return ignoreMissing(err)
	})
	return removed, s.explain(err)
}

// eachShared calls f for all shared files.
func (s *Store) eachShared(f func(name string, e Entry, info fs.FileInfo) error) error {
	return filepath.WalkDir(filepath.Join(s.dir, filesDir), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return ignoreMissing(err)
		}
		info, err := entry.Info()
		if err != nil {
			return ignoreMissing(err)
		}
		text := entry.Name()
		e := Entry{Kind: File}
		if digits := len(text) - 1; digits > 0 && text[digits] == 'x' {
			e.Executable, text = true, text[:digits]
		}
		if e.Sum, err = hex.DecodeString(text); err != nil {
			return os.Remove(name) // nobody of ours made it
		}
		return f(name, e, info)
	})
}
