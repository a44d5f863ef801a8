//go:build unix

package supervisor

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// maxFiles is how many files a process of a partition may hold open, as far
// as the computer allows so many.
const maxFiles = 1 << 16

// bound sets limits that hold for this process and all that it starts:
// processes of the user, which in a user namespace count for the partition
// alone, open files, and no core dumps, which would fill the disk.
func (o Options) bound() error {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return fmt.Errorf("limit open files: %w", err)
	}
	files.Max = min(files.Max, maxFiles)
	files.Cur = files.Max
	set := map[int]unix.Rlimit{unix.RLIMIT_NOFILE: files, unix.RLIMIT_CORE: {}}
	if o.Processes > 0 {
		var processes unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NPROC, &processes); err != nil {
			return fmt.Errorf("limit processes: %w", err)
		}
		processes.Max = min(processes.Max, number(processes.Max, o.Processes))
		processes.Cur = processes.Max
		set[unix.RLIMIT_NPROC] = processes
	}
	for resource, limit := range set {
		if err := unix.Setrlimit(resource, &limit); err != nil {
			return fmt.Errorf("set resource limit %d to %d: %w", resource, limit.Max, err)
		}
	}
	return nil
}

// number returns n in the type that the system has for such limits.
func number[T int64 | uint64](_ T, n int64) T { return T(n) }
