package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// attempts are ways out of a partition; each returns why it failed.
var attempts = map[string]func() error{
	"mount":              func() error { return unix.Mount("none", "/tmp", "tmpfs", 0, "") },
	"unmount":            func() error { return unix.Unmount("/data", unix.MNT_DETACH) },
	"user namespace":     func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"network namespace":  func() error { return unix.Unshare(unix.CLONE_NEWNET) },
	"clone a namespace":  func() error { return call(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD), 0, 0) },
	"clone3":             func() error { return call(unix.SYS_CLONE3, 0, 0, 0) },
	"chroot":             func() error { return unix.Chroot("/tmp") },
	"load a module":      func() error { return call(unix.SYS_INIT_MODULE, 0, 0, 0) },
	"load a program":     func() error { return call(unix.SYS_BPF, 0, 0, 0) },
	"io_uring":           func() error { return call(unix.SYS_IO_URING_SETUP, 1, 0, 0) },
	"userfaultfd":        func() error { return call(unix.SYS_USERFAULTFD, 0, 0, 0) },
	"perf":               func() error { return call(unix.SYS_PERF_EVENT_OPEN, 0, 0, 0) },
	"keys":               func() error { return call(unix.SYS_KEYCTL, 0, 0xfffffffd, 0) },
	"kernel log":         func() error { return call(unix.SYS_SYSLOG, 3, 0, 0) },
	"reboot":             func() error { return call(unix.SYS_REBOOT, 0, 0, 0) },
	"swap":               func() error { return call(unix.SYS_SWAPON, 0, 0, 0) },
	"clock":              func() error { return call(unix.SYS_SETTIMEOFDAY, 0, 0, 0) },
	"host name":          func() error { return unix.Sethostname([]byte("mine")) },
	"file handle":        func() error { return call(unix.SYS_OPEN_BY_HANDLE_AT, 0, 0, 0) },
	"trace init":         func() error { return call(unix.SYS_PTRACE, unix.PTRACE_ATTACH, 1, 0) },
	"read init":          func() error { return call(unix.SYS_PROCESS_VM_READV, 1, 0, 0) },
	"take a file":        func() error { return call(unix.SYS_PIDFD_GETFD, 0, 0, 0) },
	"memory of init":     func() error { return open("/proc/1/mem", os.O_RDWR) },
	"environ of init":    func() error { return open("/proc/1/environ", os.O_RDONLY) },
	"files of init":      func() error { _, err := os.ReadDir("/proc/1/root/data"); return err },
	"kill init":          killInit,
	"raw packets":        func() error { return socket(unix.AF_PACKET, unix.SOCK_RAW) },
	"raw internet":       func() error { return socket(unix.AF_INET, unix.SOCK_RAW) },
	"virtual sockets":    func() error { return socket(unix.AF_VSOCK, unix.SOCK_STREAM) },
	"kernel's ciphers":   func() error { return socket(unix.AF_ALG, unix.SOCK_SEQPACKET) },
	"type for the shell": func() error { return call(unix.SYS_IOCTL, 0, unix.TIOCSTI, 0) },
	"a disk":             func() error { return unix.Mknod("/data/disk", unix.S_IFBLK|0o600, int(unix.Mkdev(8, 0))) },
	"memory":             func() error { return open("/dev/mem", os.O_RDONLY) },
	"the release":        func() error { return open("/usr/bin/probe", os.O_WRONLY) },
	"shadow":             func() error { return open("/etc/shadow", os.O_RDONLY) },
	"passwd":             func() error { return open("/etc/passwd", os.O_WRONLY) },
	"supervisor's log":   func() error { return open("/run/slapd/log", os.O_RDWR) },
	"supervisor's lock":  func() error { return os.Remove("/run/slapd/lock") },
	"supervisor's file":  func() error { return os.WriteFile("/run/slapd/mine", nil, 0o600) },
	"kernel's settings":  func() error { return open("/proc/sys/kernel/core_pattern", os.O_WRONLY) },
	"other numbers":      func() error { return call(0x40000000+unix.SYS_GETPID, 0, 0, 0) },
}

// needs are what servers do; none may fail.
var needs = map[string]func() error{
	"data":        func() error { return os.WriteFile("/data/own", []byte("x"), 0o600) },
	"move":        moveBetween,
	"temporary":   func() error { return os.WriteFile("/tmp/own", nil, 0o600) },
	"shared":      func() error { return os.WriteFile("/dev/shm/own", nil, 0o600) },
	"null":        func() error { return open("/dev/null", os.O_RDWR) },
	"random":      func() error { return open("/dev/urandom", os.O_RDONLY) },
	"tcp":         func() error { return socket(unix.AF_INET, unix.SOCK_STREAM) },
	"udp6":        func() error { return socket(unix.AF_INET6, unix.SOCK_DGRAM) },
	"unix":        func() error { return socket(unix.AF_UNIX, unix.SOCK_STREAM) },
	"routes":      func() error { return socket(unix.AF_NETLINK, unix.SOCK_RAW) },
	"own process": func() error { return open("/proc/self/maps", os.O_RDONLY) },
	"root":        func() error { _, err := os.ReadDir("/"); return err },
	"personality": func() error { return call(unix.SYS_PERSONALITY, 0xffffffff, 0, 0) },
}

// escape makes every attempt and prints what came of each.
func escape() error {
	for _, name := range slices.Sorted(maps.Keys(attempts)) {
		err := attempts[name]()
		if err == nil {
			fmt.Printf("OUT: %s\n", name)
			continue
		}
		fmt.Printf("%s: %v\n", name, err)
	}
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		if err := needs[name](); err != nil {
			fmt.Printf("NEEDED: %s: %v\n", name, err)
		}
	}
	return nil
}

func call(number, a, b, c uintptr) error {
	if _, _, errno := unix.Syscall(number, a, b, c); errno != 0 {
		return errno
	}
	return nil
}

func open(path string, flags int) error {
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func socket(family, kind int) error {
	fd, err := unix.Socket(family, kind, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// killInit looks whether init can be signalled. That it survives is not
// enough: it must not even be asked.
func killInit() error { return syscall.Kill(1, 0) }

func moveBetween() error {
	for _, dir := range []string{"/data/a", "/data/b"} {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if err := os.WriteFile("/data/a/x", nil, 0o600); err != nil {
		return err
	}
	return os.Rename("/data/a/x", "/data/b/x")
}
