package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// A Running is the supervisor of a partition, found or just launched. It must
// be closed; that does not end it.
type Running struct {
	supervisor.Client

	// PID is the supervisor's process id on the computer. Inside, it is 1.
	PID int

	pidfd *os.File
}

// Find returns the supervisor that runs in the folder, or
// [supervisor.ErrNotRunning].
func (h *Host) Find(ctx context.Context, folder string) (*Running, error) {
	r := &Running{Client: supervisor.Client{Dir: Run(folder)}}
	pid, err := r.Client.PID(ctx)
	if err != nil {
		return nil, err
	}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, supervisor.ErrNotRunning // it ended in between
	}
	r.PID, r.pidfd = pid, os.NewFile(uintptr(fd), "pidfd")
	again, err := r.Client.PID(ctx) // the pid was still this process's when we took hold of it
	if err == nil && again != pid {
		err = supervisor.ErrNotRunning
	}
	if err == nil {
		err = h.verify(pid)
	}
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

// Alive reports whether the supervisor has not ended yet.
func (r *Running) Alive() bool {
	alive := false
	err := r.control(func(fd int) { alive = !ended(fd) })
	return err == nil && alive
}

// verify makes sure that who answers is the init of a partition, not one of
// the processes inside that put a socket of its own in the place.
func (h *Host) verify(pid int) error {
	if h.grade == GradePlain {
		return nil
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return supervisor.ErrNotRunning
	}
	for line := range bytes.Lines(b) {
		if rest, ok := strings.CutPrefix(string(line), "NSpid:"); ok {
			if ids := strings.Fields(rest); len(ids) > 1 && ids[len(ids)-1] == "1" {
				return nil
			}
		}
	}
	return fmt.Errorf("supervisor: process %d is not the partition's init: destroy the instance", pid)
}

// Close lets go of the supervisor, which runs on.
func (r *Running) Close() error { return r.pidfd.Close() }

// Kill ends the supervisor, and with it all that it runs, at once.
func (r *Running) Kill() error {
	var err error
	if ctlErr := r.control(func(fd int) { err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) }); ctlErr != nil {
		return ctlErr
	}
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// Wait returns when the supervisor has ended, or with ctx's error.
func (r *Running) Wait(ctx context.Context) error {
	raw, err := r.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = r.pidfd.SetReadDeadline(time.Unix(1, 0)) })()
	err = raw.Read(func(fd uintptr) bool { return ended(int(fd)) })
	if ctx.Err() != nil {
		_ = r.pidfd.SetReadDeadline(time.Time{})
		return ctx.Err()
	}
	return err
}

func (r *Running) control(f func(fd int)) error {
	raw, err := r.pidfd.SyscallConn()
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
