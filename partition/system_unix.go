//go:build unix

package partition

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// openPlain makes opening a file neither wait, as a pipe would, nor follow a
// link.
const openPlain = unix.O_NONBLOCK | unix.O_NOFOLLOW

// signalNumber returns the number of a signal, or 0.
func signalNumber(name string) syscall.Signal { return unix.SignalNum(name) }
