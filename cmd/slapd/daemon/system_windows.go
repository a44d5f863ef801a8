package daemon

import (
	"os"

	"golang.org/x/sys/windows"
)

// defaultPartitions is how many instances a computer takes: on this system none
// can run.
const defaultPartitions = 0

// diskSize returns how large the file system of a folder is, or 0.
func diskSize(folder string) int64 {
	name, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return 0
	}
	var total uint64
	if windows.GetDiskFreeSpaceEx(name, nil, &total, nil) != nil {
		return 0
	}
	return int64(min(total, 1<<62))
}

// lockWhole locks f until it is closed, or fails at once. What is locked is a
// byte far beyond its end: other processes read who holds it.
func lockWhole(f *os.File) error {
	const how = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	return windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1})
}

// mayWrite says whether things can be made in a folder.
func mayWrite(folder string) error {
	probe, err := os.MkdirTemp(folder, ".slapd-")
	if err != nil {
		return err
	}
	return os.Remove(probe)
}
