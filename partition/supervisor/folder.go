//go:build unix

package supervisor

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lookEvery is how often the folder is looked at when the kernel says nothing.
const lookEvery = 30 * time.Second

// watchFolder calls gone once, when the lock file has been removed: whoever
// removes a partition's folder removes it too, and an open file tells that
// reliably on any file system and through any mount.
func watchFolder(lock *os.File, gone func()) {
	for !removed(lock) {
		waitForChange(lock, lookEvery)
	}
	gone()
}

func removed(f *os.File) bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && st.Nlink == 0
}

// killAll ends every process of the partition but this one.
func killAll(r *reaper) {
	for range 100 {
		var left []int
		if os.Getpid() == 1 {
			if syscall.Kill(-1, syscall.SIGKILL) != nil {
				return // there is nobody
			}
		} else if left = descendants(os.Getpid()); len(left) == 0 {
			return
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		await(nil, 5*time.Millisecond)
		r.collect()
	}
}
