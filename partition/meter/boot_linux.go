package meter

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bootID names this run of the computer's kernel.
func bootID() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(boot)), err
}

// sinceBoot returns how long the computer is up, asleep or not.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("meter: clock_gettime: " + err.Error()) // no Linux that runs Go refuses it
	}
	return time.Duration(t.Nano())
}
