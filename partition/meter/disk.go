package meter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A disk is what the meter needs of a folder. Tests have one that crashes.
type disk interface {
	// list returns the files of a sub-folder and their sizes.
	list(dir string) (map[string]int64, error)

	// read returns a file's content, or fs.ErrNotExist.
	read(name string) ([]byte, error)

	// create makes a file whose content is durable, though its name may not
	// be. One of that name is overwritten.
	create(name string, data []byte) error

	// rename gives a file another name, at once or not at all.
	rename(from, to string) error

	// remove removes a file. One that is not there is removed already.
	remove(name string) error

	// sync makes the names in a sub-folder durable.
	sync(dir string) error
}

// fresh begins the names of files that are not complete.
const fresh = ".new-"

// replace makes a file have that content: all of it or none, and durable
// when it returns.
func replace(d disk, name string, data []byte) error {
	temporary := fresh + name
	if err := d.create(temporary, data); err != nil {
		return errors.Join(err, d.remove(temporary))
	}
	if err := d.rename(temporary, name); err != nil {
		return errors.Join(err, d.remove(temporary))
	}
	return d.sync(".")
}

// A realDisk is a folder of the file system.
type realDisk struct{ dir string }

func (d realDisk) path(name string) string { return filepath.Join(d.dir, name) }

func (d realDisk) list(dir string) (map[string]int64, error) {
	entries, err := os.ReadDir(d.path(dir))
	if err != nil {
		return nil, err
	}
	files := make(map[string]int64)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() {
			files[e.Name()] = info.Size()
		}
	}
	return files, nil
}

// maxFile bounds what is read: a checkpoint of as many tasks as partitions
// can have at most.
const maxFile = 256 << 20

func (d realDisk) read(name string) ([]byte, error) {
	info, err := os.Stat(d.path(name))
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("read %s: %d bytes, at most %d: %w", name, info.Size(), maxFile, errDamaged)
	}
	return os.ReadFile(d.path(name))
}

func (d realDisk) create(name string, data []byte) error {
	f, err := os.OpenFile(d.path(name), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func (d realDisk) rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

func (d realDisk) remove(name string) error {
	if err := os.Remove(d.path(name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d realDisk) sync(dir string) error {
	f, err := os.Open(d.path(dir))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// clean removes what a crash left unfinished.
func clean(d disk, files map[string]int64) error {
	for name := range files {
		if strings.HasPrefix(name, fresh) {
			if err := d.remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}
