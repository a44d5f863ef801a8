//go:build linux

package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rights to files, and in which version of Landlock they came.
const (
	rightsToRead = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR

	rights1 = rightsToRead | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM
	rights2 = unix.LANDLOCK_ACCESS_FS_REFER
	rights3 = unix.LANDLOCK_ACCESS_FS_TRUNCATE
	rights5 = unix.LANDLOCK_ACCESS_FS_IOCTL_DEV

	// rightsToFile are those that a rule for a file, not a folder, may give.
	rightsToFile = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE |
		unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV

	// scopes6 keep signals, and connections to abstract sockets, within.
	scopes6 = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
)

// ruleset returns what a version of Landlock handles. What is older than 2
// could not move files between folders: it is no use to a server.
func ruleset(version int) (attr unix.LandlockRulesetAttr, ok bool) {
	attr.Handled_access_fs = rights1 | rights2
	if version >= 3 {
		attr.Handled_access_fs |= rights3
	}
	if version >= 5 {
		attr.Handled_access_fs |= rights5
	}
	if version >= 6 {
		attr.Scoped = scopes6
	}
	return attr, version >= 2
}

// landlock restricts the calling thread to files. Whatever the files are, a
// restricted process can trace only those that are restricted with it.
func landlock(f Files) error {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return errno
	}
	attr, ok := ruleset(int(version))
	if !ok {
		return unix.ENOSYS
	}
	rules, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), sizeOfRuleset(int(version)), 0)
	if errno != 0 {
		return errno
	}
	defer func() { _ = unix.Close(int(rules)) }()
	for _, give := range []struct {
		paths  []string
		rights uint64
	}{{f.List, unix.LANDLOCK_ACCESS_FS_READ_DIR}, {f.Read, rightsToRead}, {f.Write, attr.Handled_access_fs}} {
		for _, path := range give.paths {
			if err := allow(int(rules), path, give.rights); err != nil {
				return err
			}
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, rules, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// sizeOfRuleset returns how much of the attributes a version reads.
func sizeOfRuleset(version int) uintptr {
	var attr unix.LandlockRulesetAttr
	if version < 6 {
		return unsafe.Offsetof(attr.Scoped)
	}
	return unsafe.Offsetof(attr.Quiet_access_fs)
}

// allow gives rights to a path and all that is below it, if it is there.
func allow(rules int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("stat %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= rightsToFile
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rules), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("allow %s: %w", path, errno)
	}
	return nil
}
