//go:build linux

package kernel

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/partition/meter"
)

const milli = 1_000_000

func TestRead(t *testing.T) {
	nasty := "a) R (b) 1 2 3\n) S 1"
	tests := []struct {
		name  string
		given func(f *fake, p *Partition)
		want  meter.Reading
		err   string
	}{
		{
			name:  "nothing runs",
			given: func(_ *fake, p *Partition) { p.PID = func() int { return 0 } },
		}, {
			name: "all below the supervisor, whatever they are called",
			given: func(f *fake, p *Partition) {
				f.process(1, 0, "init", 1, 500, 900)
				f.process(10, 1, "slapd", 2, 3, 30)
				f.process(12, 10, nasty, 5, 40, 0)
				f.process(11, 12, "", 9, 8, 0)
				f.process(20, 1, "other", 3, 700, 0)
				p.PID = func() int { return 10 }
			},
			want: meter.Reading{By: meter.ByProcess, Memory: 3 * 40 << 10, Tasks: []meter.Task{
				{ID: 10, Start: 2, Own: 30 * milli, Reaped: 300 * milli},
				{ID: 11, Start: 9, Own: 80 * milli},
				{ID: 12, Start: 5, Own: 400 * milli},
			}},
		}, {
			name: "without leave to look, all that is resident counts",
			given: func(f *fake, p *Partition) {
				f.process(10, 1, "slapd", 2, 3, 0)
				f.remove("proc/10/smaps_rollup")
				p.PID = func() int { return 10 }
			},
			want: meter.Reading{
				By: meter.ByProcess, Memory: uint64(100 * os.Getpagesize()),
				Tasks: []meter.Task{{ID: 10, Start: 2, Own: 30 * milli}},
			},
		}, {
			name: "control groups, version 2",
			given: func(f *fake, p *Partition) {
				f.process(10, 1, "slapd", 2, 3, 0)
				f.write("cg/cpu.stat", "usage_usec 1234\nuser_usec 1000\nsystem_usec 234\n")
				f.write("cg/memory.current", "4096\n")
				p.PID, p.Cgroups = func() int { return 10 }, []string{filepath.Join(f.root, "cg")}
			},
			want: meter.Reading{By: meter.ByCgroup, Memory: 4096, Tasks: []meter.Task{{Own: 1_234_000}}},
		}, {
			name: "control groups, version 1",
			given: func(f *fake, p *Partition) {
				f.write("cpu/cpu.stat", "nr_periods 0\nnr_throttled 0\n")
				f.write("cpu/cpuacct.usage", "777\n")
				f.write("memory/memory.usage_in_bytes", "8192\n")
				p.Cgroups = []string{filepath.Join(f.root, "memory"), filepath.Join(f.root, "cpu")}
			},
			want: meter.Reading{By: meter.ByCgroup, Memory: 8192, Tasks: []meter.Task{{Own: 777}}},
		}, {
			name: "a control group without memory",
			given: func(f *fake, p *Partition) {
				f.process(10, 1, "slapd", 2, 3, 0)
				f.write("cg/cpu.stat", "usage_usec 1\n")
				p.PID, p.Cgroups = func() int { return 10 }, []string{filepath.Join(f.root, "cg")}
			},
			want: meter.Reading{By: meter.ByCgroup, Memory: 40 << 10, Tasks: []meter.Task{{Own: 1000}}},
		}, {
			name: "a network of its own, bytes that are carried, and metrics",
			given: func(f *fake, p *Partition) {
				f.process(10, 1, "slapd", 2, 0, 0)
				f.network(10, 2, 1000, 500)
				p.PID, p.Carried = func() int { return 10 }, func() uint64 { return 7 }
				p.Metrics = func(context.Context) (map[string]uint64, error) { return map[string]uint64{"rows": 3}, nil }
			},
			want: meter.Reading{
				By: meter.ByProcess, Memory: 40 << 10, Tasks: []meter.Task{{ID: 10, Start: 2}},
				Network: []meter.Counter{{Name: "carried", Value: 7}, {Name: "net:[2] of 2", Value: 1500}},
				Metrics: map[string]uint64{"rows": 3},
			},
		}, {
			name: "the computer's network is not the partition's, and metrics may fail",
			given: func(f *fake, p *Partition) {
				f.process(10, 1, "slapd", 2, 0, 0)
				f.network(10, 1, 1000, 500)
				p.PID = func() int { return 10 }
				p.Metrics = func(context.Context) (map[string]uint64, error) { return nil, errors.New("down") }
			},
			want: meter.Reading{By: meter.ByProcess, Memory: 40 << 10, Tasks: []meter.Task{{ID: 10, Start: 2}}},
		}, {
			name: "a process that cannot be understood",
			given: func(f *fake, p *Partition) {
				f.write("proc/10/stat", "10 (x) S 1")
				p.PID = func() int { return 10 }
			},
			err: "read process 10: stat: 2 fields",
		}, {
			name: "a control group that cannot be understood",
			given: func(f *fake, p *Partition) {
				f.write("cg/memory.current", "much\n")
				p.Cgroups = []string{filepath.Join(f.root, "cg")}
			},
			err: "memory.current",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFake(t)
			p := &Partition{Kernel: f.Kernel}
			test.given(f, p)
			got, err := p.Read(t.Context())
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want one with %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			slices.SortFunc(got.Tasks, func(a, b meter.Task) int { return int(a.ID) - int(b.ID) })
			if got.By == meter.ByCgroup {
				got.Tasks[0].Start = 0 // the folder's number
			}
			for i := range got.Network {
				got.Network[i].Name, _, _ = strings.Cut(got.Network[i].Name, " "+f.token)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("read %+v, want %+v", got, test.want)
			}
		})
	}
}

// The processes of a user are the partition's, whoever began them.
func TestUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root gives files away")
	}
	f := newFake(t)
	f.process(10, 1, "mine", 2, 5, 0)
	f.process(11, 1, "other", 2, 7, 0)
	if err := os.Chown(filepath.Join(f.root, "proc/10"), 0x70000001, 0); err != nil {
		t.Fatal(err)
	}
	got, err := (&Partition{Kernel: f.Kernel, UID: 0x70000001}).Read(t.Context())
	if err != nil || len(got.Tasks) != 1 || got.Tasks[0].ID != 10 {
		t.Errorf("read %+v, %v", got, err)
	}
}

// A process that is read with a parent that then is gone has another by now.
func TestOrphan(t *testing.T) {
	f := newFake(t)
	f.process(10, 1, "supervisor", 2, 0, 0)
	f.process(12, 11, "orphan", 4, 5, 0) // 11 may not be seen, or is gone
	if _, err := (&Partition{Kernel: f.Kernel}).Kernel.processes(); err != nil {
		t.Fatal(err)
	}
	table := &table{processes: map[int]process{10: {pid: 10}, 12: {pid: 12, parent: 11}}}
	f.process(12, 10, "orphan", 4, 5, 0)
	if err := f.adopt(table, []int{10, 12}); err != nil || table.processes[12].parent != 10 {
		t.Errorf("parent %d, %v", table.processes[12].parent, err)
	}
}

func TestWalk(t *testing.T) {
	dir := t.TempDir()
	block := func(name string, n int) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, n), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	measure := func() uint64 {
		t.Helper()
		n, err := diskUsage(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	block("d/e/seed", 1)
	empty := measure()
	block("d/one", 1<<20)
	one := measure()
	if one < empty+1<<20 || one > empty+1<<20+64<<10 {
		t.Errorf("a file of 1 MiB takes %d bytes", one-empty)
	}
	if err := os.Link(filepath.Join(dir, "d/one"), filepath.Join(dir, "d/e/two")); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "d/e/seed"), 1<<30); err != nil { // a hole
		t.Fatal(err)
	}
	if err := os.Symlink("/", filepath.Join(dir, "d/root")); err != nil {
		t.Fatal(err)
	}
	if n := measure(); n < one || n > one+64<<10 {
		t.Errorf("another name, a hole and a link take %d bytes", n-one)
	}

	p := &Partition{Kernel: Open(""), Folder: dir}
	if err := p.Walk(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r, err := p.Read(t.Context()); err != nil || r.Disk < one {
		t.Errorf("read %d bytes of disk, %v", r.Disk, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Walk(ctx); err == nil {
		t.Error("a walk that was called off counts")
	}
	if n, err := diskUsage(t.Context(), filepath.Join(dir, "none")); n != 0 || err != nil {
		t.Errorf("a folder that is not there: %d, %v", n, err)
	}
}

// Deeper than can be is said, and what is above counts.
func TestDeepWalk(t *testing.T) {
	dir := t.TempDir()
	deep := dir + strings.Repeat("/d", maxDepth+5)
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	n, err := diskUsage(t.Context(), dir)
	if err == nil || n == 0 {
		t.Errorf("%d bytes, error %v", n, err)
	}
}

func FuzzStat(f *testing.F) {
	f.Add([]byte("1 (init) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9 10 11 12"))
	f.Add([]byte("1 (a) b) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 -7 18446744073709551615 20 0 1 0 9 10 11 12"))
	f.Add([]byte("1 ()"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := parseStat(data, 4096); err == nil && (p.pid <= 0 || p.parent < 0) {
			t.Errorf("%+v", p)
		}
	})
}

func FuzzKeyed(f *testing.F) {
	f.Add([]byte("usage_usec 12\nuser_usec 3\n"))
	f.Add([]byte("Pss:   3 kB\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := parseKeyed(data, "usage_usec")
		if _, numeric := parseNumber(data); err == nil && numeric == nil {
			t.Errorf("%q is %d, and only a number", data, n)
		}
	})
}

func FuzzDevices(f *testing.F) {
	f.Add([]byte(" face |bytes\n lo: 1 2 3 4 5 6 7 8 9 10\neth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"))
	f.Add([]byte("eth0:18446744073709551615 2 3 4 5 6 7 8 9\neth1:1 2 3 4 5 6 7 8 9"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if n, err := parseDevices(data); err != nil && n != 0 {
			t.Errorf("%d with error %v", n, err)
		}
	})
}
