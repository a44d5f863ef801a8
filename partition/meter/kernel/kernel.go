//go:build linux

package kernel

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Kernel is what Linux tells about this computer. It may be used from any
// goroutine.
type Kernel struct {
	root  string
	token string // names this run, in counters that begin with it
	page  uint64
	now   func() time.Duration

	mu    sync.Mutex
	read  bool          // the table was
	at    time.Duration // when
	table *table
	pss   map[key]proportion
}

// Open returns the kernel whose /proc is below root. An empty root is that
// of this computer.
func Open(root string) *Kernel {
	return &Kernel{
		root: cmp.Or(root, "/"), token: rand.Text(), page: uint64(os.Getpagesize()),
		now: sinceBoot, table: &table{}, pss: make(map[key]proportion),
	}
}

func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("kernel: clock_gettime: " + err.Error()) // no Linux that runs Go refuses it
	}
	return time.Duration(t.Nano())
}

func (k *Kernel) path(parts ...string) string {
	return filepath.Join(append([]string{k.root, "proc"}, parts...)...)
}

// A key names a process as long as the computer is up.
type key struct {
	pid   int
	start uint64
}

// A table is all processes at about one moment.
type table struct {
	processes map[int]process
	children  map[int][]int
}

// fresh is how old a table may be: one round over all partitions reads it
// once.
const fresh = 100 * time.Millisecond

// processes returns the table of processes.
func (k *Kernel) processes() (*table, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if k.read && now-k.at < fresh {
		return k.table, nil
	}
	if !k.read { // who is older than whom is not known yet
		if err := k.scan(); err != nil {
			return nil, err
		}
	}
	if err := k.scan(); err != nil {
		return nil, err
	}
	k.read, k.at = true, now
	for id := range k.pss {
		if p, ok := k.table.processes[id.pid]; !ok || p.start != id.start {
			delete(k.pss, id)
		}
	}
	return k.table, nil
}

// scan reads the table, the oldest processes first. As parents are older than
// their children, a child that ends meanwhile is seen alive, or is missing; it
// is never seen twice, alive and in what its parent has reaped.
func (k *Kernel) scan() error {
	dir, err := os.Open(k.path())
	if err != nil {
		return fmt.Errorf("read processes: %w", err)
	}
	names, err := dir.Readdirnames(-1)
	if err = errors.Join(err, dir.Close()); err != nil {
		return fmt.Errorf("read processes: %w", err)
	}
	pids := make([]int, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	slices.SortFunc(pids, k.table.older)
	t := &table{make(map[int]process, len(pids)), make(map[int][]int)}
	for _, pid := range pids {
		if err := k.readInto(t, pid); err != nil {
			return err
		}
	}
	if err := k.adopt(t, pids); err != nil {
		return err
	}
	for _, pid := range pids {
		if p, ok := t.processes[pid]; ok {
			t.children[p.parent] = append(t.children[p.parent], pid)
		}
	}
	k.table = t
	return nil
}

// older orders processes by when they began; those that are not in the table
// began later.
func (t *table) older(a, b int) int {
	p, known := t.processes[a]
	q, also := t.processes[b]
	switch {
	case known && also:
		return cmp.Or(cmp.Compare(p.start, q.start), cmp.Compare(a, b))
	case known:
		return -1
	case also:
		return 1
	}
	return cmp.Compare(a, b)
}

// adopt reads once more those whose parent is missing: it ended after they
// were read, and they have another by now. A parent that stays missing is one
// that we may not see.
func (k *Kernel) adopt(t *table, pids []int) error {
	for range 8 {
		changed := false
		for _, pid := range pids {
			p, ok := t.processes[pid]
			if _, there := t.processes[p.parent]; !ok || there || p.parent == 0 {
				continue
			}
			if err := k.readInto(t, pid); err != nil {
				return err
			}
			changed = changed || t.processes[pid].parent != p.parent
		}
		if !changed {
			return nil
		}
	}
	return errors.New("read processes: parents change faster than they can be read")
}

// readInto puts a process into the table, or takes it out if it has ended.
func (k *Kernel) readInto(t *table, pid int) error {
	name := strconv.Itoa(pid)
	var status syscall.Stat_t
	err := syscall.Lstat(k.path(name), &status)
	var data []byte
	if err == nil {
		data, err = os.ReadFile(k.path(name, "stat"))
	}
	if ended(err) {
		delete(t.processes, pid)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read process %d: %w", pid, err)
	}
	p, err := parseStat(data, k.page)
	if err != nil {
		return fmt.Errorf("read process %d: %w", pid, err)
	}
	p.pid, p.uid = pid, int(status.Uid)
	t.processes[pid] = p
	return nil
}

// ended says whether an error means that a process has.
func ended(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

// A proportion is the memory of a process, of which pages that it shares
// count only its part.
type proportion struct {
	bytes uint64
	at    time.Duration
	cost  time.Duration
}

// seldom says how much longer than its measuring the memory of a process
// stays measured: the kernel walks through all of it, which takes 18 ms for
// a gigabyte.
const seldom = 500

// memory returns the bytes that a process holds, its part of what is shared.
// If the kernel does not tell us that, all that it shares counts.
func (k *Kernel) memory(p process) (uint64, error) {
	id := key{p.pid, p.start}
	k.mu.Lock()
	last, ok := k.pss[id]
	k.mu.Unlock()
	began := k.now()
	if ok && began-last.at < seldom*last.cost {
		return last.bytes, nil
	}
	data, err := os.ReadFile(k.path(strconv.Itoa(p.pid), "smaps_rollup"))
	switch {
	case errors.Is(err, syscall.ESRCH) || err == nil && len(data) == 0:
		return 0, nil // it ended, or is the kernel's own
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist):
		return p.resident, nil
	case err != nil:
		return 0, fmt.Errorf("memory of process %d: %w", p.pid, err)
	}
	kilobytes, err := parseKeyed(data, "Pss")
	if err != nil {
		return 0, fmt.Errorf("memory of process %d: smaps_rollup: %w", p.pid, err)
	}
	end := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pss[id] = proportion{times(kilobytes, 1024), end, end - began}
	return k.pss[id].bytes, nil
}
