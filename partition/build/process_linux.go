package build

import (
	"os/exec"
	"runtime"
	"syscall"
)

// confine makes a program end with its context, and all that it has started
// with it.
func confine(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// run runs a confined program to its end, or to that of this process. The
// system takes the death of the thread that started it for the latter, so that
// thread is kept.
func run(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return cmd.Run()
}
