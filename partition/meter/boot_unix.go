//go:build unix && !linux

package meter

import (
	"encoding/hex"
	"time"

	"golang.org/x/sys/unix"
)

// bootID names this run of the computer's kernel: by its own name where it has
// one (macOS), or by when it began, in which case a clock that is set makes a
// new name, and counters are taken for new ones.
func bootID() (string, error) {
	if id, err := unix.Sysctl("kern.bootsessionuuid"); err == nil && id != "" {
		return id, nil
	}
	began, err := unix.SysctlRaw("kern.boottime")
	return hex.EncodeToString(began), err
}

// sinceBoot returns how long the computer is up.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic("meter: clock_gettime: " + err.Error()) // every system has this clock
	}
	return time.Duration(t.Nano())
}
