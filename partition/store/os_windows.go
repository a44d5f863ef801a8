package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/windows"
)

// errLocked says that another process holds a lock.
var errLocked = errors.New("locked")

// lockFile locks f until it is closed. Unless wait is set it returns
// errLocked at once when another process holds the lock.
func lockFile(f *os.File, wait bool) error {
	how := uint32(windows.LOCKFILE_EXCLUSIVE_LOCK)
	if !wait {
		how |= windows.LOCKFILE_FAIL_IMMEDIATELY
	}
	err := windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errLocked
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return nil
}

// checkOwner looks whether the folder is there: who may write to it is said by
// lists of access, which folders inherit.
func checkOwner(dir string) error {
	_, err := os.Stat(dir)
	return err
}

// errFull is what the system says of a full file system.
const errFull = windows.ERROR_DISK_FULL

// names tells how many names a file has: this system says so only of an open
// one, so none is shared.
func names(os.FileInfo) uint64 { return 1 }

// setUsed sets the time of a file to now.
func setUsed(name string) error {
	now := time.Now() //nolint:forbidigo // what the other systems do without being told
	return os.Chtimes(name, now, now)
}

// isFull tells whether an error means that there is no space.
func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

// Free returns how many bytes and how many files an ordinary user may still
// make in dir. Files are not counted here.
func Free(dir string) (size, files int64, err error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(min(free, 1<<62)), 1 << 62, nil
}

// isMany tells whether a file has as many names as its file system allows.
func isMany(err error) bool { return errors.Is(err, windows.ERROR_TOO_MANY_LINKS) }

// mayCopy tells whether a refused hard link can be made good by a copy: the
// files are on different file systems, or a file has too many names.
func mayCopy(err error) bool {
	return errors.Is(err, windows.ERROR_NOT_SAME_DEVICE) || errors.Is(err, windows.ERROR_TOO_MANY_LINKS) ||
		errors.Is(err, windows.ERROR_NOT_SUPPORTED)
}

// syncAll makes everything in dir durable, file by file.
func syncAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if errors.Is(err, os.ErrPermission) {
			return nil // read-only: it was written out before it became that
		}
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}
