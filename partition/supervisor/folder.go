package supervisor

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
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

// waitForChange waits until the file's links may have changed, or d.
func waitForChange(f *os.File, d time.Duration) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		await(nil, d)
		return
	}
	events := os.NewFile(uintptr(fd), "inotify")
	defer func() { _ = events.Close() }()
	_, err = unix.InotifyAddWatch(fd, "/proc/self/fd/"+strconv.Itoa(int(f.Fd())), unix.IN_ATTRIB|unix.IN_DELETE_SELF)
	if err != nil || removed(f) {
		await(nil, min(d, time.Second))
		return
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		_, _ = events.Read(make([]byte, 4096))
	}()
	await(heard, d)
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

// descendants returns the living processes that descend from pid. Orphans
// among them are ours, for we adopt them.
func descendants(pid int) []int {
	var all []int
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, t := range tasks {
		b, _ := os.ReadFile(t)
		for field := range strings.FieldsSeq(string(b)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				continue
			}
			all = append(append(all, descendants(child)...), child)
		}
	}
	return all
}
