//go:build unix

package lan

import "syscall"

// shareAddress lets several sockets have the same address.
func shareAddress(fd uintptr) error {
	return syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
}
