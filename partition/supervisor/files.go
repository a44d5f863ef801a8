package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// privateDir is the supervisor's own folder below the data folder.
const privateDir = ".slapd"

// writeAll makes the directories and files be and removes those gone.
//
// It runs inside the partition, as the partition's user: a link that a
// service planted can only lead to what that user may write anyway.
func writeAll(dirs []Dir, files []File, gone []string) error {
	for _, d := range dirs {
		if err := makeDir(d); err != nil {
			return fmt.Errorf("make directory %s: %w", d.Path, cause(err))
		}
	}
	for _, f := range files {
		mode := fs.FileMode(f.Mode & 0o777)
		if mode == 0 {
			mode = 0o600
		}
		if same(f.Path, f.Content, mode) {
			continue
		}
		if err := replace(f.Path, f.Content, mode, false); err != nil {
			return fmt.Errorf("write file %s: %w", f.Path, cause(err))
		}
	}
	for _, path := range gone {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove file %s: %w", path, cause(err))
		}
	}
	return nil
}

func makeDir(d Dir) error {
	mode := fs.FileMode(d.Mode & 0o777)
	if mode == 0 {
		mode = 0o700
	}
	if info, err := os.Stat(d.Path); err == nil && info.IsDir() && info.Mode().Perm() == mode {
		return nil
	}
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return err
	}
	return os.Chmod(d.Path, mode)
}

// same says whether the file is as wanted already.
func same(path string, content []byte, mode fs.FileMode) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != mode || info.Size() != int64(len(content)) {
		return false
	}
	have, err := os.ReadFile(path)
	return err == nil && bytes.Equal(have, content)
}

// replace swaps a new file in, so that nobody sees half of one. If sync is
// set it has reached the disk.
func replace(path string, content []byte, mode fs.FileMode, sync bool) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil && sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil || !sync {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// cause drops the operation and the temporary path from an error, which the
// caller names better.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// A memoryFile keeps the memory in the data folder, where it goes with the
// data when that is moved or restored.
type memoryFile string

func newMemoryFile(root string) memoryFile {
	return memoryFile(filepath.Join(root, privateDir, "memory"))
}

func (f memoryFile) save(m memory, sync bool) error {
	b, err := encoding.Marshal(m)
	if err == nil {
		err = replace(string(f), b, 0o600, sync)
	}
	if err != nil {
		return fmt.Errorf("remember what was done: %w", cause(err))
	}
	return nil
}

// load returns the memory, empty if there is none.
func (f memoryFile) load() (memory, error) {
	b, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return memory{}, nil
	}
	if err != nil {
		return memory{}, err
	}
	return parseMemory(b)
}

func parseMemory(b []byte) (memory, error) {
	var m memory
	if err := decoding.Unmarshal(b, &m); err != nil {
		return memory{}, fmt.Errorf("read what was done: %w", err)
	}
	return m, nil
}
