//go:build linux

package limits

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// OnThread calls f on a thread that is thrown away after, so that f may
// change what belongs to the thread: its control group, its mount namespace.
func OnThread(f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		if unix.Gettid() != unix.Getpid() {
			result <- f()
			return
		}
		// The first thread is the process's face in /proc and cannot end.
		// While it is held here, another goroutine gets another thread.
		err := OnThread(f)
		runtime.UnlockOSThread()
		result <- err
	}()
	return <-result
}
