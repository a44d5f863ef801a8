package process

import (
	"os/exec"
	"runtime"
	"syscall"
)

// Confine makes a program end with its context, and all that it has started
// with it.
func Confine(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// Run runs a confined program to its end, or to that of this process. The
// system takes the death of the thread that started it for the latter, so that
// thread is kept.
func Run(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return cmd.Run()
}
