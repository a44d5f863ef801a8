//go:build unix && !linux

package sandbox

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slapmesh/slapmesh/partition/limits"
)

// detect says that this system has no walls that slapd can build.
func detect(context.Context, string, *limits.Tree) (grade Grade, why string, network bool) {
	return GradePlain, "walls are built on Linux, and this is " + runtime.GOOS, false
}

// begin starts the command as an ordinary process.
func (h *Host) begin(_ context.Context, cmd *exec.Cmd, p Partition, group *limits.Group, uid, _ int) error {
	if err := h.preparePlain(cmd, p, uid); err != nil {
		return err
	}
	return group.Start(cmd)
}

// WayOut says why partitions can have no way out of their own to the Internet:
// they use the computer's network.
func (h *Host) WayOut() error {
	return errors.New("partitions are plain processes, which use the computer's network")
}

// Fullness returns zero: no partition has a disk of its own here.
func (h *Host) Fullness(*Running) (used, size int64) { return 0, 0 }

// lookEvery is how often it is looked whether a process has ended.
const lookEvery = 20 * time.Millisecond

// A hold is a process, by its number: this system has nothing better.
type hold struct{ pid int }

// holdOn takes hold of a process.
func holdOn(pid int) (hold, error) {
	h := hold{pid}
	if !h.alive() {
		return h, syscall.ESRCH
	}
	return h, nil
}

func (h hold) close() error { return nil }

func (h hold) alive() bool {
	err := syscall.Kill(h.pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// kill ends the process and its session at once.
func (h hold) kill() error {
	err := syscall.Kill(h.pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// wait returns when the process has ended, or with ctx's error.
func (h hold) wait(ctx context.Context) error {
	for h.alive() {
		if err := pause(ctx, lookEvery); err != nil {
			return err
		}
	}
	return nil
}

// processesOf returns the processes of a user, or, for the plain grade, those
// that carry the folder in their environment.
func processesOf(uid int, mark string) []int {
	var found []int
	for _, p := range listed() {
		if p.pid != os.Getpid() && (uid != 0 && p.uid == uid || mark != "" && p.marked(mark)) {
			found = append(found, p.pid)
		}
	}
	return found
}

// users returns the users that any process of this computer runs as.
func users() map[int]bool {
	found := make(map[int]bool)
	for _, p := range listed() {
		found[p.uid] = true
	}
	return found
}

// physicalMemory returns the bytes that this computer has, or 0.
func physicalMemory() int64 {
	for _, name := range []string{"hw.memsize", "hw.physmem"} {
		if b, err := unix.SysctlRaw(name); err == nil && len(b) == 8 {
			return int64(binary.NativeEndian.Uint64(b))
		}
	}
	return 0
}
