//go:build linux

package limits

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Group is the control group of one partition. In version 1 it has one
// folder for each controller.
type Group struct {
	version int
	of      []string // controllers
	dirs    []string // the folder of each; in version 2 all the same
	sum     Limits
	state   string // the folder that has the partition's, and its neighbours'
}

// Folders returns where the group is, for whoever measures it.
func (g *Group) Folders() []string { return slices.Compact(slices.Clone(g.dirs)) }

// dir returns the folder of a controller, or nothing.
func (g *Group) dir(controller string) string {
	if i := slices.Index(g.of, controller); i >= 0 {
		return g.dirs[i]
	}
	return ""
}

// Exists says whether the group was made and not removed.
func (g *Group) Exists() bool {
	if len(g.dirs) == 0 {
		return false
	}
	_, err := os.Stat(g.dirs[0])
	return err == nil
}

// Make makes the group, or changes it, to hold l.
func (g *Group) Make(l Limits) error {
	for i, dir := range g.dirs {
		var err error
		for range maxRounds { // who removes the last group takes the one that holds it along
			if err = g.makeParent(filepath.Dir(dir), g.of[i]); err == nil {
				err = mkdir(dir)
			}
			if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) {
				break
			}
		}
		if err != nil {
			return err
		}
	}
	return g.set(l, g.dir)
}

// makeParent makes the group that holds all partitions of a state folder.
func (g *Group) makeParent(dir, controller string) error {
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make control group: %w", err)
	}
	label(dir, g.state)
	if g.version == 2 {
		if err := enable(dir); err != nil {
			return err
		}
	}
	return g.set(g.sum, func(c string) string {
		if c == controller || g.version == 2 {
			return dir
		}
		return ""
	})
}

// set writes limits to the folders of their controllers.
func (g *Group) set(l Limits, dir func(controller string) string) error {
	needed, optional := l.settings(g.version)
	put := func(s setting) error {
		d := dir(s.controller)
		if d == "" || g.dir(s.controller) == "" {
			return nil
		}
		return write(filepath.Join(d, s.file), s.value)
	}
	// With swap, version 1 wants the limit of both never below that of one:
	// whichever way a limit goes, one order of the two works.
	for _, s := range optional {
		_ = put(s)
	}
	for _, s := range needed {
		if err := put(s); err != nil {
			return fmt.Errorf("limit a partition: %w", err)
		}
	}
	for _, s := range optional {
		if err := put(s); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("limit a partition: %w", err)
		}
	}
	return nil
}

// Start starts a command in the group, which must have been made. It is
// called by [OnThread]: in version 1 the calling thread joins the group, for
// what it starts begins there.
func (g *Group) Start(cmd *exec.Cmd) error {
	if len(g.dirs) == 0 {
		return cmd.Start()
	}
	if g.version == 2 {
		dir, err := os.Open(g.dirs[0])
		if err != nil {
			return fmt.Errorf("enter control group: %w", err)
		}
		defer func() { _ = dir.Close() }()
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
		return cmd.Start()
	}
	err := g.join()
	if err == nil {
		err = cmd.Start()
	}
	g.leave() // a thread lives on for a moment after it has ended
	return err
}

// leave takes the calling thread out of a group of version 1, as far as it
// is in it.
func (g *Group) leave() {
	for _, dir := range g.Folders() {
		base := filepath.Dir(filepath.Dir(dir)) // where this program was when it made the tree
		_ = write(filepath.Join(base, "tasks"), strconv.Itoa(unix.Gettid()))
	}
}

// join puts the calling thread into a group of version 1.
func (g *Group) join() error {
	for _, dir := range g.Folders() {
		if err := write(filepath.Join(dir, "tasks"), strconv.Itoa(unix.Gettid())); err != nil {
			return fmt.Errorf("enter control group: %w", err)
		}
	}
	return nil
}

// OutOfMemory returns how many processes of the group the kernel has ended
// because the group had no memory left.
func (g *Group) OutOfMemory() uint64 {
	dir := g.dir("memory")
	if dir == "" {
		return 0
	}
	file := "memory.oom_control"
	if g.version == 2 {
		file = "memory.events"
	}
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
			count, err := strconv.ParseUint(n, 10, 64)
			if err != nil {
				return 0
			}
			return count
		}
	}
	return 0
}

// Memory returns the bytes that the group may use, or 0 if it has no limit of
// its own.
func (g *Group) Memory() int64 {
	file := "memory.limit_in_bytes"
	if g.version == 2 {
		file = "memory.max"
	}
	b, err := os.ReadFile(filepath.Join(g.dir("memory"), file))
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || n >= unlimited {
		return 0
	}
	return n
}

// unlimited is about what version 1 shows for no limit: the largest number of
// whole pages.
const unlimited = math.MaxInt64 &^ (1<<16 - 1)

// Kill ends all processes of the group, however fast they start others. When
// it returns, some may still be dying.
func (g *Group) Kill() error {
	for _, dir := range g.killable() {
		err := write(filepath.Join(dir, "cgroup.kill"), "1")
		if errors.Is(err, fs.ErrNotExist) { // version 1, or Linux before 5.14
			err = killFrozen(dir)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("end what runs in a control group: %w", err)
		}
	}
	return nil
}

// killable returns the folders by which the processes can be found: the
// freezer's if there is one, for what is frozen starts nothing.
func (g *Group) killable() []string {
	if d := g.dir("freezer"); d != "" {
		return []string{d}
	}
	return g.Folders()[:min(1, len(g.Folders()))]
}

// maxRounds bounds how often something is tried that others may undo.
const maxRounds = 100

// killFrozen signals each process of a group, while the group is frozen if it
// can be, until a sweep finds none that is new.
func killFrozen(dir string) error {
	state, frozen, thawed := freezer(dir)
	signalled := make(map[int]bool)
	if b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs")); err == nil && slices.Contains(strings.Fields(string(b)), strconv.Itoa(os.Getpid())) {
		return fmt.Errorf("%s: this program is in it", dir)
	}
	for range maxRounds {
		if state != "" {
			if err := write(state, frozen); err != nil {
				return err
			}
		}
		b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		fresh := false
		for p := range strings.FieldsSeq(string(b)) {
			if pid, convErr := strconv.Atoi(p); convErr == nil && pid > 0 {
				_ = syscall.Kill(pid, syscall.SIGKILL)
				fresh = fresh || !signalled[pid]
				signalled[pid] = true
			}
		}
		if state != "" {
			err = errors.Join(err, write(state, thawed)) // each dies before it does anything more
		}
		if err != nil || !fresh {
			return err
		}
	}
	return fmt.Errorf("%s: processes are started faster than they can be ended", dir)
}

// freezer returns the file that freezes a group, if it has one, and what to
// write there.
func freezer(dir string) (file, frozen, thawed string) {
	for _, f := range [][3]string{{"cgroup.freeze", "1", "0"}, {"freezer.state", "FROZEN", "THAWED"}} {
		path := filepath.Join(dir, f[0])
		if _, err := os.Stat(path); err == nil {
			return path, f[1], f[2]
		}
	}
	return "", "", ""
}

// Remove removes the group, and the one that holds it if it was the last
// there. A group with processes is left: the error is then [unix.EBUSY].
func (g *Group) Remove() error {
	for _, dir := range g.Folders() {
		if err := unix.Rmdir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove control group %s: %w", dir, err)
		}
		_ = unix.Rmdir(filepath.Dir(dir)) // others may be there
	}
	return nil
}
