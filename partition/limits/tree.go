//go:build linux

package limits

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A Tree is where this program may make control groups. The zero Tree is
// nowhere: its groups bound nothing.
type Tree struct {
	version int
	base    map[string]string // by controller: the folder below which groups are made
	why     string            // why there is less than could be
	sum     Limits            // of all partitions of one state folder together
}

// Open finds the strongest groups that this program may make, and removes
// those of state folders that are gone. sum bounds all the partitions of one
// state folder together.
func Open(sum Limits) *Tree {
	t := &Tree{sum: sum}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.why = "this system has no control groups"
		return t
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.why = err.Error()
		return t
	}
	found, err := places(groups, mounts)
	if err != nil {
		t.why = err.Error()
		return t
	}
	t = t.choose(found)
	t.sweep()
	return t
}

// choose takes version 2 where it has the controllers, else version 1.
func (t *Tree) choose(found []place) *Tree {
	for _, p := range found {
		if p.version == 2 && has(p.mount, "memory") {
			dir, err := divisible(p)
			if err != nil {
				t.why = fmt.Sprintf("control groups cannot be made: %v", err)
				return t
			}
			t.version, t.base = 2, make(map[string]string)
			for _, c := range controllers {
				if has(dir, c) {
					t.base[c] = dir
				}
			}
			return t
		}
	}
	t.version, t.base = 1, make(map[string]string)
	for _, p := range found {
		for _, c := range p.controllers {
			if !slices.Contains(controllers, c) && !slices.Contains(helpers, c) {
				continue
			}
			if err := writable(p.own); err != nil {
				t.why = fmt.Sprintf("control groups cannot be made: %v", err)
				continue
			}
			t.base[c] = p.own
		}
	}
	if len(t.base) == 0 && t.why == "" {
		t.why = "no control groups are mounted"
	}
	return t
}

// Lacks lists what the groups cannot bound, of cpu, memory and pids, and says
// why.
func (t *Tree) Lacks() (lacks []string, why string) {
	for _, c := range controllers {
		if t.base[c] == "" {
			lacks = append(lacks, c)
		}
	}
	if len(lacks) > 0 && t.why == "" {
		return lacks, "the kernel grants no control groups for " + strings.Join(lacks, ", ")
	}
	return lacks, t.why
}

// prefix begins the names of groups of state folders.
const prefix = "slapd-"

// Group names the group of the partition in a folder. The same folder has the
// same group in whatever process.
func (t *Tree) Group(folder string) *Group {
	sum := sha256.Sum256([]byte(filepath.Dir(folder)))
	name := prefix + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))
	g := &Group{version: t.version, sum: t.sum, state: filepath.Dir(folder)}
	for _, c := range slices.Concat(controllers, helpers) {
		base := t.base[c]
		if base == "" {
			continue
		}
		dir := filepath.Join(base, name, filepath.Base(folder))
		g.dirs = append(g.dirs, dir)
		g.of = append(g.of, c)
	}
	return g
}

// has says whether the group in dir can give a controller to groups below it.
func has(dir, controller string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	return err == nil && slices.Contains(strings.Fields(string(b)), controller)
}

// divisible returns the group of version 2 below which others can be made.
// Root takes one beside the services of this computer: a service manager could
// not start a service again in a group whose partitions live on. Others have
// only what was delegated to them, and move out of its way.
func divisible(p place) (string, error) {
	if os.Geteuid() == 0 {
		beside := filepath.Join(p.mount, "slapd")
		err := enable(p.mount)
		if err == nil {
			err = mkdir(beside)
		}
		if err == nil {
			return beside, enable(beside)
		}
	}
	err := enable(p.own)
	if errors.Is(err, syscall.EBUSY) { // a group divides what it has, or has processes
		if err = moveOut(p.own); err == nil {
			err = enable(p.own)
		}
	}
	return p.own, err
}

// moveOut moves this program to a group of its own below dir.
func moveOut(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return err
	}
	self := strconv.Itoa(os.Getpid())
	for pid := range strings.FieldsSeq(string(b)) {
		if pid != self {
			return fmt.Errorf("process %s is in the control group of this program too: run slapd as a service with Delegate=yes", pid)
		}
	}
	daemon := filepath.Join(dir, "slapd")
	if err := mkdir(daemon); err != nil {
		return err
	}
	return write(filepath.Join(daemon, "cgroup.procs"), self)
}

// mkdir makes a group, if it is not there.
func mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make control group: %w", err)
	}
	return nil
}

// enable gives the controllers that dir has to the groups below it.
func enable(dir string) error {
	var errs []error
	for _, c := range controllers {
		if has(dir, c) {
			errs = append(errs, write(filepath.Join(dir, "cgroup.subtree_control"), "+"+c))
		}
	}
	return errors.Join(errs...)
}

// writable says why groups cannot be made in dir.
func writable(dir string) error {
	if err := syscall.Access(dir, 2); err != nil { // W_OK
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}

// write writes to a file of a group, which must exist.
func write(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("set %s to %s: %w", path, value, err)
	}
	return nil
}
