package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// releaseProgram takes what is read of the program's file out of this process's
// memory; what is needed again comes back from the kernel's cache by itself.
// After the start half of it never is.
func releaseProgram() error {
	binary, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return err
	}
	for _, m := range cleanMappings(string(maps), binary) {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED); errno != 0 {
			return os.NewSyscallError("madvise", errno)
		}
	}
	return nil
}

// A mapping is a range of addresses.
type mapping struct{ from, to uintptr }

// cleanMappings finds those of a file in the text of proc_pid_smaps(5) which
// cannot be written to, and never were: a linker may have changed pages, such as
// those of relocations, before it made them read-only.
func cleanMappings(text, file string) (all []mapping) {
	var now mapping
	ours := false
	for line := range strings.Lines(text) {
		var from, to uintptr
		var may string
		var anonymous int
		switch {
		case scan(line, "%x-%x %s", &from, &to, &may):
			ours = strings.HasSuffix(strings.TrimSuffix(line, "\n"), " "+file) && !strings.Contains(may, "w")
			now = mapping{from, to}
		case ours && scan(line, "Anonymous: %d kB", &anonymous) && anonymous == 0:
			all = append(all, now)
		}
	}
	return all
}

func scan(line, format string, into ...any) bool {
	n, _ := fmt.Sscanf(line, format, into...)
	return n == len(into)
}
