// Package faulttest runs a program and does harm to it at each of its calls that
// change files: it is killed there, its disk is full, or a bit flips.
//
// The program, a test started again as a child, calls [Watch]; from then on the
// kernel holds each such call until the parent, in [Run], has said what becomes
// of it (seccomp's user notification, Linux 5.19 and later, seccomp_unotify(2)).
// So nothing of what is tested knows of the test, and no call is left out.
package faulttest

import "syscall"

// A Call is one that changes files, before it is made.
type Call struct {
	N    int    // from 1
	Name string // of the system call
	Path string // of what it makes or changes
	// Allocates tells that it may need more of the disk than there is.
	Allocates bool
}

// An Action says what becomes of a call.
type Action struct {
	Kill bool          // its process dies first
	Fail syscall.Errno // it fails; 0: it is made
}
