//go:build unix

package meter

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock locks f until it is closed, or fails at once.
func lock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
