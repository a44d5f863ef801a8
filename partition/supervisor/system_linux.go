package supervisor

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// KeepDescriptors keeps what is open from programs that are started.
func KeepDescriptors() { _ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) }

// adoptOrphans has the kernel hand this process what descends from it and lost
// its parent.
func adoptOrphans() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// onFirstThread says whether the caller's thread is the one that who looks at
// the process sees.
func onFirstThread() bool { return unix.Gettid() == unix.Getpid() }

// socketPath names the socket by its open folder, until done is called: a path
// of any length fits.
func socketPath(run string) (path string, done func(), err error) {
	dir, err := os.OpenFile(run, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join("/proc/self/fd", strconv.Itoa(int(dir.Fd())), SocketName)
	return path, func() { _ = dir.Close() }, nil
}

// peer returns who is at the other end of conn.
func peer(conn *net.UnixConn) (pid, uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		return 0, 0, err
	}
	return int(cred.Pid), int(cred.Uid), nil
}

// owner returns the process that listens at the other end of conn.
func (c *Client) owner(conn *net.UnixConn) (int, error) {
	pid, _, err := peer(conn)
	return pid, err
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

// flush waits until all that was written in the data folder is on the disk.
func (h *inside) flush() error {
	d, err := os.Open(h.root)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return fmt.Errorf("write to disk: %w", err)
	}
	return nil
}

// exited says whether the child has ended, and leaves it to be collected.
func exited(pid int) bool {
	var info [128]byte // a siginfo_t; its first field is zero if nobody has ended
	_, _, errno := syscall.Syscall6(unix.SYS_WAITID, unix.P_PID, uintptr(pid),
		uintptr(unsafe.Pointer(&info[0])), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, 0, 0)
	return errno == 0 && info[0] != 0
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

// newPipe makes a pipe that programs do not inherit: its reading end first.
func newPipe() (fds [2]int, err error) {
	err = unix.Pipe2(fds[:], unix.O_CLOEXEC)
	return fds, err
}

// endGroup has nothing to do: whose leader has ended was ended by collect,
// before the leader's number could be used again.
func endGroup(int) {}
