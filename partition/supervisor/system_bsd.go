//go:build unix && !linux

package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxInherited is how many descriptors a daemon may have leaked.
const maxInherited = 4096

// KeepDescriptors keeps what is open from programs that are started.
func KeepDescriptors() {
	for fd := 3; fd < maxInherited; fd++ {
		syscall.CloseOnExec(fd)
	}
}

// adoptOrphans does nothing: who loses its parent here is init's, and is found
// again by its process group, or by what it carries in its environment.
func adoptOrphans() error { return nil }

// onFirstThread says whether the caller's thread is of use to nobody else: no
// thread is confined here.
func onFirstThread() bool { return false }

// maxSocketPath is how long the path of a socket may be (unix(4)).
const maxSocketPath = 103

// socketPath names the socket.
func socketPath(run string) (path string, done func(), err error) {
	if _, err := os.Stat(run); err != nil {
		return "", nil, err
	}
	path = filepath.Join(run, SocketName)
	if len(path) > maxSocketPath {
		return "", nil, fmt.Errorf("%s: a socket's path may have %d bytes: choose a shorter state folder with --dir", path, maxSocketPath)
	}
	return path, func() {}, nil
}

// peer returns the user at the other end of conn; the process is not told.
func peer(conn *net.UnixConn) (pid, uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	const local, credentials = 0, 1 // SOL_LOCAL, LOCAL_PEERCRED of <sys/un.h>
	var cred *unix.Xucred
	var credErr error
	err = raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptXucred(int(fd), local, credentials) })
	if err := errors.Join(err, credErr); err != nil {
		return 0, 0, err
	}
	return -1, int(cred.Uid), nil
}

// owner returns the process that listens at the other end of a connection, as
// it wrote it into the lock that it holds.
func (c *Client) owner(*net.UnixConn) (int, error) {
	b, err := os.ReadFile(filepath.Join(c.Dir, lockName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, ErrNotRunning
	}
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("supervisor: %s names no process", lockName)
	}
	return pid, nil
}

// waitForChange waits until the file's links may have changed.
func waitForChange(_ *os.File, d time.Duration) { await(nil, min(d, time.Second)) }

// flush waits until all that was written is on the disk.
func (h *inside) flush() error { return unix.Sync() }

// exited says whether the child has ended. It cannot be asked without being
// collected, which collect does next.
func exited(int) bool { return false }

// descendants returns the living processes that descend from pid.
func descendants(pid int) []int {
	out, err := exec.Command("ps", "-axo", "pid=,ppid=").Output() //nolint:noctx // it reads a table
	if err != nil {
		return nil
	}
	children := make(map[int][]int)
	for line := range strings.Lines(string(out)) {
		var child, parent int
		if n, _ := fmt.Sscan(line, &child, &parent); n == 2 {
			children[parent] = append(children[parent], child)
		}
	}
	var all []int
	for below := children[pid]; len(below) > 0; below = below[1:] {
		all = append(all, below[0])
		below = append(below, children[below[0]]...)
	}
	return all
}

// newPipe makes a pipe that programs do not inherit: its reading end first.
func newPipe() (fds [2]int, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err = unix.Pipe(fds[:]); err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	return fds, err
}

// endGroup ends what the leader of a group, which was just collected, left
// behind.
func endGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }
