//go:build unix

package store

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// errLocked says that another process holds a lock.
var errLocked = errors.New("locked")

// lockFile locks f until it is closed. Unless wait is set it returns
// errLocked at once when another process holds the lock.
func lockFile(f *os.File, wait bool) error {
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return errLocked
		case err != nil:
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		default:
			return nil
		}
	}
}

// checkOwner refuses a folder into which another user could put things.
func checkOwner(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case ok && int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("the folder belongs to user %d, not to %d: use a folder of your own", stat.Uid, os.Geteuid())
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others may write to the folder: chmod go-w %s", dir)
	}
	return nil
}

// errFull is what the system says of a full file system.
const errFull = unix.ENOSPC

// names tells how many names a file has.
func names(info os.FileInfo) uint64 {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return uint64(stat.Nlink) //nolint:unconvert // the types differ between systems
}

// setUsed sets the time of a file to now.
func setUsed(name string) error { return unix.Utimes(name, nil) }

// isFull tells whether an error means that there is no space.
func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// Free returns how many bytes and how many files an ordinary user may still
// make in dir.
func Free(dir string) (size, files int64, err error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(stat.Bavail) * int64(stat.Bsize), int64(stat.Ffree), nil //nolint:unconvert // the types differ between systems
}

// isMany tells whether a file has as many names as its file system allows.
func isMany(err error) bool { return errors.Is(err, unix.EMLINK) }

// mayCopy tells whether a refused hard link can be made good by a copy: the
// files are on different file systems, or a file has too many names.
func mayCopy(err error) bool {
	return errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EMLINK) || errors.Is(err, unix.EPERM)
}
