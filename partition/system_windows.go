package partition

import "syscall"

// openPlain is nothing: a file that is opened below a root follows no link out
// of it, and there are no pipes in folders.
const openPlain = 0

// signalNumber returns the number of a signal, or 0: these two are told apart.
func signalNumber(name string) syscall.Signal {
	switch name {
	case "SIGKILL":
		return syscall.SIGKILL
	case "SIGTERM":
		return syscall.SIGTERM
	}
	return 0
}
