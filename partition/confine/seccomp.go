//go:build linux

package confine

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// errArch says that there is no filter for this kind of processor.
var errArch = errors.New("no filter for " + runtime.GOARCH)

// What a filter returns.
const (
	retAllow = 0x7fff0000 // SECCOMP_RET_ALLOW
	retErrno = 0x00050000 // SECCOMP_RET_ERRNO, with the error below
	retKill  = 0x80000000 // SECCOMP_RET_KILL_PROCESS
)

// Where a filter finds what it looks at (struct seccomp_data, of a
// little-endian processor).
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// namespaces are the flags of clone that make namespaces.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWTIME

// denied are calls that administer a computer, look into other processes, or
// have let programs out of their walls before. Each fails with EPERM.
var denied = []uint32{
	// Modules, and other kernels.
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD,
	unix.SYS_REBOOT,
	// Mounts and namespaces.
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN,
	unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_UNSHARE, unix.SYS_SETNS,
	unix.SYS_CHROOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD,
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT,
	// Other processes.
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KCMP, unix.SYS_PIDFD_GETFD,
	unix.SYS_MOVE_PAGES, unix.SYS_MIGRATE_PAGES,
	// The kernel's own languages, and its keys, which are not in a namespace.
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER,
	unix.SYS_IO_URING_REGISTER, unix.SYS_FANOTIFY_INIT, unix.SYS_LOOKUP_DCOOKIE,
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	// The clock, the log, the accounts, the names.
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX, unix.SYS_SYSLOG,
	unix.SYS_ACCT, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_VHANGUP, unix.SYS_NFSSERVCTL,
}

// families are the kinds of sockets that there may be.
var families = []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}

// typing are the controls of a terminal with which a program can type into
// the shell that it was started from.
var typing = []uint32{unix.TIOCSTI, unix.TIOCLINUX}

// personalities are the harmless ones: none, 32 bits shown as such, and the
// question which it is.
var personalities = []uint32{0, 0x8, 0x20000, 0x20008, 0xffffffff}

// seccomp filters the calls of the calling thread.
func seccomp() error {
	filter, err := assemble()
	if err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}

// assemble returns the filter as the kernel takes it.
func assemble() ([]unix.SockFilter, error) {
	if auditArch == 0 {
		return nil, errArch
	}
	raw, err := bpf.Assemble(program())
	if err != nil {
		return nil, fmt.Errorf("assemble: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return filter, nil
}

// program is the filter. Whatever it does not know is allowed: new kernels
// bring new calls, and servers use them.
func program() []bpf.Instruction {
	fail := func(e unix.Errno) bpf.Instruction { return bpf.RetConstant{Val: retErrno | uint32(e)} }
	allow := bpf.RetConstant{Val: retAllow}
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		bpf.RetConstant{Val: retKill}, // a call of another kind of processor has other numbers
		bpf.LoadAbsolute{Off: offNumber, Size: 4},
	}
	if otherABI != 0 {
		p = append(p, bpf.JumpIf{Cond: bpf.JumpLessThan, Val: otherABI, SkipTrue: 1}, fail(unix.ENOSYS))
	}
	for _, call := range append(denied, deniedHere...) {
		p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: call, SkipTrue: 1}, fail(unix.EPERM))
	}
	// clone3 has its flags in memory, where a filter cannot look: who is told
	// that there is none uses clone.
	p = append(p, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_CLONE3, SkipTrue: 1}, fail(unix.ENOSYS))
	p = append(p,
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_CLONE, SkipTrue: 4},
		bpf.LoadAbsolute{Off: offArgs, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: namespaces, SkipTrue: 1},
		fail(unix.EPERM),
		allow,
	)
	p = append(p, oneOf(unix.SYS_SOCKET, 0, families, fail(unix.EAFNOSUPPORT), allow)...)
	p = append(p, oneOf(unix.SYS_PERSONALITY, 0, personalities, fail(unix.EPERM), allow)...)
	p = append(p, oneOf(unix.SYS_IOCTL, 1, typing, allow, fail(unix.EPERM))...)
	return append(p, allow)
}

// oneOf ends a call with in if the low half of its argument is one of values,
// else with out. Other calls go on, with their number still loaded.
func oneOf(call uint32, argument uint32, values []uint32, out, in bpf.Instruction) []bpf.Instruction {
	body := []bpf.Instruction{bpf.LoadAbsolute{Off: offArgs + 8*argument, Size: 4}}
	for _, v := range values {
		body = append(body, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: v, SkipTrue: 1}, in)
	}
	body = append(body, out)
	return append([]bpf.Instruction{bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: call, SkipTrue: uint8(len(body))}}, body...)
}
