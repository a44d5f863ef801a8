package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A hold is a process that is held on to: its number cannot become another's
// unnoticed.
type hold struct{ pidfd *os.File }

// holdOn takes hold of a process.
func holdOn(pid int) (hold, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return hold{}, err
	}
	return hold{os.NewFile(uintptr(fd), "pidfd")}, nil
}

func (h hold) close() error { return h.pidfd.Close() }

func (h hold) alive() bool {
	alive := false
	err := h.control(func(fd int) { alive = !ended(fd) })
	return err == nil && alive
}

// kill ends the process at once.
func (h hold) kill() error {
	var err error
	if ctlErr := h.control(func(fd int) { err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) }); ctlErr != nil {
		return ctlErr
	}
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// wait returns when the process has ended, or with ctx's error.
func (h hold) wait(ctx context.Context) error {
	raw, err := h.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = h.pidfd.SetReadDeadline(time.Unix(1, 0)) })()
	err = raw.Read(func(fd uintptr) bool { return ended(int(fd)) })
	if ctx.Err() != nil {
		_ = h.pidfd.SetReadDeadline(time.Time{})
		return ctx.Err()
	}
	return err
}

func (h hold) control(f func(fd int)) error {
	raw, err := h.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { f(int(fd)) })
}

// ended says whether the process of a pidfd has.
func ended(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return err == nil && n == 1
}

// processesOf returns the processes of a user, or, for the plain grade, those
// that carry the folder in their environment.
func processesOf(uid int, mark string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if uid != 0 && uidOf(pid) == uid || mark != "" && marked(pid, mark) {
			found = append(found, pid)
		}
	}
	return found
}

// users returns the users that any process of this computer runs as.
func users() map[int]bool {
	found := make(map[int]bool)
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return found
	}
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			found[uidOf(pid)] = true
		}
	}
	return found
}

// uidOf returns the real user of a process that is not a zombie, or -1.
func uidOf(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil || bytes.Contains(b, []byte("\nState:\tZ")) {
		return -1
	}
	_, rest, _ := bytes.Cut(b, []byte("\nUid:\t"))
	field, _, _ := bytes.Cut(rest, []byte("\t"))
	uid, err := strconv.Atoi(string(field))
	if err != nil {
		return -1
	}
	return uid
}

func marked(pid int, mark string) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	for v := range bytes.SplitSeq(b, []byte{0}) {
		if string(v) == mark {
			return true
		}
	}
	return false
}

// physicalMemory returns the bytes that this computer has, or 0.
func physicalMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
