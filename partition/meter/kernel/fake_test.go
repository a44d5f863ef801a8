//go:build linux

package kernel

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// A fake is a folder that looks like the root of a computer.
type fake struct {
	t    *testing.T
	root string
	*Kernel
	clock time.Duration
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{t: t, root: t.TempDir()}
	f.Kernel = Open(f.root)
	f.now = func() time.Duration { f.clock += time.Second; return f.clock }
	f.write("proc/version", "Linux\n")
	f.link("proc/self/ns/net", "net:[1]")
	return f
}

func (f *fake) write(name, content string) {
	f.t.Helper()
	path := filepath.Join(f.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fake) link(name, target string) {
	f.t.Helper()
	path := filepath.Join(f.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fake) remove(name string) {
	f.t.Helper()
	if err := os.RemoveAll(filepath.Join(f.root, name)); err != nil {
		f.t.Fatal(err)
	}
}

// process makes a process that is called name; times are in ticks.
func (f *fake) process(pid, parent int, name string, start, own, reaped int) {
	f.t.Helper()
	dir := filepath.Join("proc", strconv.Itoa(pid))
	f.write(filepath.Join(dir, "stat"), fmt.Sprintf(
		"%d (%s) S %d 1 1 0 -1 4194560 1 2 3 4 %d %d %d %d 20 0 1 0 %d 1000000 100 18446744073709551615 1 1 0\n",
		pid, name, parent, own-own/3, own/3, reaped-reaped/2, reaped/2, start))
	f.write(filepath.Join(dir, "smaps_rollup"), "55d0-7ffe ---p 0 00:00 0 [rollup]\nRss:   200 kB\nPss:    40 kB\nPss_Anon: 7 kB\n")
}

// network gives a process a network namespace.
func (f *fake) network(pid, namespace, received, sent int) {
	f.t.Helper()
	dir := filepath.Join("proc", strconv.Itoa(pid))
	f.remove(filepath.Join(dir, "ns"))
	f.link(filepath.Join(dir, "ns", "net"), fmt.Sprintf("net:[%d]", namespace))
	f.write(filepath.Join(dir, "net", "dev"), fmt.Sprintf(`Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 9999999      1    0    0    0     0          0         0  9999999       1    0    0    0     0       0          0
  eth0:%d      1    0    0    0     0          0         0    %d       1    0    0    0     0       0          0
`, received, sent))
}
