//go:build unix

package sandbox

import (
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// A listing is a process in a list of ps(1).
type listing struct {
	pid, uid int
	words    []string // its command, and its environment
}

// marked says whether the process carries a mark. Spaces in it are as many as
// there may be.
func (l listing) marked(mark string) bool {
	words := strings.Fields(mark)
	for i := range l.words {
		if i+len(words) <= len(l.words) && slices.Equal(l.words[i:i+len(words)], words) {
			return true
		}
	}
	return false
}

// listed returns the processes that ps(1) tells of.
func listed() []listing {
	with := "axwwe" // and their environment
	if runtime.GOOS == "darwin" {
		with = "-axwwE"
	}
	out, err := exec.Command("ps", with, "-o", "pid=,uid=,command=").Output() //nolint:noctx // it reads a table
	if err != nil {
		return nil
	}
	return parseListing(out)
}

// parseListing reads lines of a process, its user, and its command. What is
// no such line is left out.
func parseListing(out []byte) []listing {
	var found []listing
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		pid, err := strconv.Atoi(fields[0])
		uid, noUser := strconv.Atoi(fields[1])
		if err == nil && noUser == nil {
			found = append(found, listing{pid, uid, fields[2:]})
		}
	}
	return found
}
