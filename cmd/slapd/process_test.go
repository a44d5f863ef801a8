package main_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A process is one that the tests have started, themselves or through a peer.
type process struct {
	pid  int
	name string
}

// processesOf lists the processes that belong to a folder below scratch: our
// own program with the folder on its command line, and whatever runs in a
// partition there.
func processesOf(dir string) []process {
	var found []process
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !names(pid, dir) && !partitionOf(pid, dir) {
			continue
		}
		name, err := os.ReadFile(inProc(pid, "comm"))
		if err == nil {
			found = append(found, process{pid, strings.TrimSpace(string(name))})
		}
	}
	return found
}

func inProc(pid int, file ...string) string {
	return filepath.Join(append([]string{"/proc", strconv.Itoa(pid)}, file...)...)
}

// ours reports whether a process is the program that these tests have built:
// nobody else runs that very file.
func ours(pid int) bool {
	theirs, err := os.Stat(inProc(pid, "exe"))
	if err != nil {
		return false
	}
	built, err := os.Stat(filepath.Join(scratch, "slapd"))
	return err == nil && os.SameFile(theirs, built)
}

// names reports whether a process is our program and has a path in the folder
// on its command line.
func names(pid int, dir string) bool {
	line, err := os.ReadFile(inProc(pid, "cmdline"))
	if err != nil || !ours(pid) {
		return false
	}
	return slices.ContainsFunc(strings.Split(string(line), "\x00"), func(arg string) bool { return within(arg, dir) })
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// partitionOf reports whether a process runs in a partition below the folder:
// it is in a mount namespace of its own into which a part of the folder is
// bound, or, without walls, it has the partition in its environment. Where
// something is mounted says nothing: everyone sees that.
func partitionOf(pid int, dir string) bool {
	if marked(pid, dir) {
		return true
	}
	theirs, err := os.Readlink(inProc(pid, "ns", "mnt"))
	if err != nil {
		return false
	}
	if own, err := os.Readlink("/proc/self/ns/mnt"); err != nil || own == theirs {
		return false
	}
	mounts, err := os.ReadFile(inProc(pid, "mountinfo"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(mounts)) {
		// id, parent, device, then the part of its file system that is bound
		if fields := strings.Fields(line); len(fields) > 3 && strings.Contains(fields[3], tail(dir)+"/") && strings.Contains(fields[3], "/partitions/") {
			return true
		}
	}
	return false
}

// marked reports whether a process carries the mark of a partition without
// walls below the folder.
func marked(pid int, dir string) bool {
	environ, err := os.ReadFile(inProc(pid, "environ"))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(strings.Split(string(environ), "\x00"), func(v string) bool {
		folder, ok := strings.CutPrefix(v, "SLAPD_PARTITION=")
		return ok && within(folder, dir)
	})
}

// tail is the path of a folder on its file system, as far as that is known:
// from the unique name of scratch on.
func tail(dir string) string { return "/" + filepath.Base(scratch) + strings.TrimPrefix(dir, scratch) }

// named returns the processes of a folder that run a program.
func named(dir, name string) []int {
	var pids []int
	for _, p := range processesOf(dir) {
		if p.name == name {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// sweep ends what runs for a folder and gives back the users that it ran as.
// It is for what a test did not clean up in the product's own way. It signals
// only our own program, and processes that carry the mark of a partition of
// ours: what a supervisor with walls has started ends with it.
func sweep(dir string) {
	for _, p := range processesOf(dir) {
		if ours(p.pid) || marked(p.pid, dir) {
			_ = syscall.Kill(p.pid, syscall.SIGKILL)
		}
	}
	for _, file := range userClaims(dir) {
		_ = os.Remove(file)
	}
}

// userClaims lists the claims of users for partitions below a folder.
func userClaims(dir string) []string {
	files, err := filepath.Glob("/run/slapd/uids/*")
	if err != nil {
		return nil
	}
	var found []string
	for _, file := range files {
		owner, err := os.ReadFile(file)
		if err == nil && strings.HasPrefix(string(owner), dir+"/") {
			found = append(found, file)
		}
	}
	return found
}

// gone reports whether a process has ended.
func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
