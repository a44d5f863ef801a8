package logstore

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData waits for a file's bytes, but not for when they were written.
func syncData(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var done error
	if err := c.Control(func(fd uintptr) {
		for done = unix.EINTR; done == unix.EINTR; {
			done = unix.Fdatasync(int(fd))
		}
	}); err != nil {
		return err
	}
	return os.NewSyscallError("fdatasync", done)
}
