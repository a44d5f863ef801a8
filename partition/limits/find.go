//go:build linux

package limits

import (
	"bufio"
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// controllers are those that bound something; the freezer helps version 1 to
// kill, and cpuacct measures.
var (
	controllers = []string{"cpu", "memory", "pids"}
	helpers     = []string{"freezer", "cpuacct"}
)

// A place is where this program's control group of one hierarchy is.
type place struct {
	version     int
	controllers []string // of version 1
	mount       string   // where the hierarchy is mounted
	own         string   // the folder of this program's group
}

// places reads what /proc/self says: its groups, and what is mounted where.
// Hierarchies that are not mounted are left out.
func places(groups, mounts []byte) ([]place, error) {
	var found []place
	for line := range strings.Lines(string(groups)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 {
			return nil, fmt.Errorf("/proc/self/cgroup: line %q: want ID:CONTROLLERS:PATH", line)
		}
		p := place{version: 1, controllers: strings.Split(fields[1], ",")}
		if fields[1] == "" {
			p = place{version: 2}
		}
		m, ok := mountOf(p, mounts)
		if !ok {
			continue
		}
		p.mount, p.own = m.point, m.point
		if rel, err := filepath.Rel(m.root, fields[2]); err == nil && filepath.IsLocal(rel) {
			p.own = filepath.Join(m.point, rel)
		}
		found = append(found, p)
	}
	return found, nil
}

// A mount is a mounted hierarchy of control groups.
type mount struct{ root, point string }

// mountOf finds the mount of a hierarchy in /proc/self/mountinfo (see
// proc_pid_mountinfo(5)). The first that shows the most of it counts.
func mountOf(p place, mounts []byte) (mount, bool) {
	var best mount
	found := false
	for s := bufio.NewScanner(bytes.NewReader(mounts)); s.Scan(); {
		before, after, ok := strings.Cut(s.Text(), " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(kind) < 3 {
			continue
		}
		switch options := strings.Split(kind[2], ","); {
		case p.version == 2 && kind[0] == "cgroup2":
		case p.version == 1 && kind[0] == "cgroup" && slices.Contains(options, p.controllers[0]):
		default:
			continue
		}
		m := mount{unescape(fields[3]), unescape(fields[4])}
		if !found || len(m.root) < len(best.root) {
			best, found = m, true
		}
	}
	return best, found
}

// unescape undoes the octal escapes of spaces and the like.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
