//go:build linux

package confine

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Thread confines the calling thread, for ever. The calling goroutine is
// locked to it. What the kernel cannot do is left out and named in lacks.
func Thread(f Files) (lacks []string, err error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("give up new privileges: %w", err)
	}
	switch err := landlock(f); {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP):
		lacks = append(lacks, "landlock")
	case err != nil:
		return nil, fmt.Errorf("landlock: %w", err)
	}
	switch err := seccomp(); {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL), errors.Is(err, errArch):
		lacks = append(lacks, "seccomp")
	case err != nil:
		return nil, fmt.Errorf("seccomp: %w", err)
	}
	return lacks, nil
}
