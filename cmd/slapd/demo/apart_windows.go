package demo

import "syscall"

// apart starts a process that hears no interrupt of this one's console.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
