//go:build unix

package daemon

import (
	"os"

	"golang.org/x/sys/unix"
)

// defaultPartitions is how many instances a computer takes if nothing else is
// said.
const defaultPartitions = 10

// diskSize returns how large the file system of a folder is, or 0.
func diskSize(folder string) int64 {
	var s unix.Statfs_t
	if unix.Statfs(folder, &s) != nil {
		return 0
	}
	return int64(s.Blocks) * int64(s.Bsize) //nolint:unconvert // the types differ between systems
}

// lockWhole locks f until it is closed, or fails at once.
func lockWhole(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// mayWrite says whether things can be made in a folder.
func mayWrite(folder string) error { return unix.Access(folder, unix.W_OK) }
