package faulttest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// calls are those that are held, and which of their arguments say what they
// change: a descriptor, or a folder's descriptor and a path.
var calls = map[uint32]struct {
	name      string
	fd, path  int // places of arguments; path -1: fd is the file itself
	allocates bool
}{
	unix.SYS_OPENAT:          {"openat", 0, 1, true}, // if it may make a file
	unix.SYS_MKDIRAT:         {"mkdirat", 0, 1, true},
	unix.SYS_LINKAT:          {"linkat", 2, 3, true},
	unix.SYS_SYMLINKAT:       {"symlinkat", 1, 2, true},
	unix.SYS_RENAMEAT:        {"renameat", 2, 3, false},
	unix.SYS_RENAMEAT2:       {"renameat2", 2, 3, false},
	unix.SYS_UNLINKAT:        {"unlinkat", 0, 1, false},
	unix.SYS_FCHMODAT:        {"fchmodat", 0, 1, false},
	unix.SYS_FCHMOD:          {"fchmod", 0, -1, false},
	unix.SYS_FTRUNCATE:       {"ftruncate", 0, -1, false},
	unix.SYS_WRITE:           {"write", 0, -1, true},
	unix.SYS_PWRITE64:        {"pwrite64", 0, -1, true},
	unix.SYS_COPY_FILE_RANGE: {"copy_file_range", 2, -1, true},
	unix.SYS_SENDFILE:        {"sendfile", 0, -1, true},
	unix.SYS_FSYNC:           {"fsync", 0, -1, false},
	unix.SYS_FDATASYNC:       {"fdatasync", 0, -1, false},
	unix.SYS_SYNCFS:          {"syncfs", 0, -1, false},
}

// passage is the descriptor over which a child gives its parent the kernel's
// notifications.
const passage = 3

// Where a filter finds what it looks at (struct seccomp_data, little-endian).
const (
	offNumber = 0
	offFlags  = 16 + 2*8 // of openat
)

// Watch has the parent asked about all calls of this process that change files.
func Watch() error {
	filter := []bpf.Instruction{bpf.LoadAbsolute{Off: offNumber, Size: 4}}
	for number := range calls {
		if number != unix.SYS_OPENAT {
			filter = append(filter, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: number, SkipTrue: 1}, bpf.RetConstant{Val: unix.SECCOMP_RET_USER_NOTIF})
		}
	}
	filter = append(filter,
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_OPENAT, SkipTrue: 3},
		bpf.LoadAbsolute{Off: offFlags, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: unix.O_CREAT, SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_USER_NOTIF},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW})
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(raw))
	for n, i := range raw {
		code[n] = unix.SockFilter{Code: i.Op, Jt: i.Jt, Jf: i.Jf, K: i.K}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	flags := unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH |
		unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags), uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	if err := unix.Sendmsg(passage, []byte{1}, unix.UnixRights(int(fd)), nil, 0); err != nil {
		return fmt.Errorf("pass notifications on: %w", err)
	}
	return errors.Join(unix.Close(int(fd)), unix.Close(passage))
}

// Run starts a child that calls [Watch], asks decide about each of its calls on
// what is below dir, and returns how the child ended. The error of a child that
// decide had killed is nil.
func Run(cmd *exec.Cmd, dir string, decide func(Call) Action) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	theirs := os.NewFile(uintptr(pair[1]), "passage")
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = append(cmd.Environ(), "GODEBUG=asyncpreemptoff=1", "GORACE=atexit_sleep_ms=0")
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		_ = unix.Close(pair[0])
		return err
	}
	killed, err := serve(cmd, pair[0], dir, decide)
	if err != nil {
		_ = cmd.Process.Kill()
	}
	ended := cmd.Wait()
	if killed && err == nil {
		return nil
	}
	return errors.Join(err, ended)
}

// serve answers until the child has ended.
func serve(cmd *exec.Cmd, from int, dir string, decide func(Call) Action) (killed bool, err error) {
	listener, err := receive(from)
	_ = unix.Close(from)
	if err != nil {
		return false, err
	}
	defer func() { _ = unix.Close(listener) }()
	count := 0
	for {
		poll := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			return killed, err
		}
		if poll[0].Revents&unix.POLLIN == 0 {
			return killed, nil // nobody is left who could call
		}
		var n notification
		if err := control(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); err != nil {
			if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINTR) {
				continue
			}
			return killed, err
		}
		answer := response{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if c := n.call(); strings.HasPrefix(c.Path, dir) && !killed {
			count++
			c.N = count
			switch a := decide(c); {
			case a.Kill:
				killed = true
				if err := cmd.Process.Kill(); err != nil {
					return killed, err
				}
				continue
			case a.Fail != 0:
				answer = response{id: n.id, err: -int32(a.Fail)}
			}
		}
		if err := control(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&answer)); err != nil && !errors.Is(err, unix.ENOENT) {
			return killed, err
		}
	}
}

// receive takes the descriptor that [Watch] sends.
func receive(from int) (int, error) {
	space := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(from, make([]byte, 1), space, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, err
	}
	messages, err := unix.ParseSocketControlMessage(space[:n])
	if err != nil || len(messages) != 1 {
		return -1, fmt.Errorf("the child passed nothing on (%w)", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return -1, fmt.Errorf("the child passed nothing on (%w)", err)
	}
	return fds[0], nil
}

// The kernel's struct seccomp_notif and seccomp_notif_resp.
type (
	notification struct {
		id     uint64
		pid    uint32
		flags  uint32
		number uint32
		arch   uint32
		_      uint64 // instruction pointer
		args   [6]uint64
	}
	response struct {
		id    uint64
		_     int64 // what the call returns
		err   int32
		flags uint32
	}
)

func control(fd int, what uint, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(what), uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// call says what a notification is about.
func (n *notification) call() Call {
	of := calls[n.number]
	c := Call{Name: of.name, Allocates: of.allocates}
	proc := fmt.Sprintf("/proc/%d", n.pid)
	if fd := int32(n.args[of.fd]); fd == unix.AT_FDCWD {
		c.Path, _ = os.Readlink(proc + "/cwd")
	} else {
		c.Path, _ = os.Readlink(fmt.Sprintf("%s/fd/%d", proc, fd))
	}
	if of.path >= 0 {
		if name := readString(proc+"/mem", n.args[of.path]); filepath.IsAbs(name) {
			c.Path = name
		} else {
			c.Path = filepath.Join(c.Path, name)
		}
	}
	if n.number == unix.SYS_OPENAT {
		_, err := os.Lstat(c.Path)
		c.Allocates = errors.Is(err, os.ErrNotExist)
	}
	return c
}

func readString(memory string, at uint64) string {
	f, err := os.Open(memory)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	data := make([]byte, unix.PathMax)
	n, _ := f.ReadAt(data, int64(at)) // it may end with a page
	text, _, _ := bytes.Cut(data[:n], []byte{0})
	return string(text)
}
