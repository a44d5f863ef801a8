//go:build unix

package demo

import "syscall"

// apart starts a process that hears no interrupt of this one's terminal.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
