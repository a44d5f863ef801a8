package main_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A process is one that the tests have started, themselves or through a peer.
type process struct {
	pid  int
	name string
}

// processesOf lists the processes that belong to a folder below scratch:
// those that have it on their command line or in their environment, and those
// in partitions, which have it mounted.
func processesOf(dir string) []process {
	var found []process
	mark := filepath.Base(scratch) + strings.TrimPrefix(dir, scratch)
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !mentions(e.Name(), mark) {
			continue
		}
		name, err := os.ReadFile(filepath.Join("/proc", e.Name(), "comm"))
		if err == nil {
			found = append(found, process{pid, strings.TrimSpace(string(name))})
		}
	}
	return found
}

// mentions reports whether a process is alive and names the mark, as a whole
// path or the beginning of one.
func mentions(pid, mark string) bool {
	for _, file := range []string{"cmdline", "environ", "mountinfo"} {
		data, err := os.ReadFile(filepath.Join("/proc", pid, file))
		if err != nil {
			continue
		}
		for _, rest := range strings.Split(string(data), mark)[1:] {
			if rest == "" || strings.ContainsAny(rest[:1], "/\x00 ") {
				return true
			}
		}
	}
	return false
}

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

// sweep ends the processes of a folder and gives back the users that they
// ran as. It is for what a test did not clean up in the product's own way.
func sweep(dir string) {
	for _, p := range processesOf(dir) {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
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
