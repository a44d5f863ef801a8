//go:build linux

package limits

import (
	"slices"
	"testing"
)

func TestPlaces(t *testing.T) {
	const (
		unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
		old     = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n" +
			"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
			"35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n" +
			"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
		inside = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
		spaces = `35 31 0:32 / /a\040b rw - cgroup cgroup rw,memory` + "\n"
	)
	tests := map[string]struct {
		groups, mounts string
		want           []string // "VERSION own"
	}{
		"version 2":                 {"0::/user.slice/a.scope\n", unified, []string{"2 /sys/fs/cgroup/user.slice/a.scope"}},
		"version 2, the root":       {"0::/\n", unified, []string{"2 /sys/fs/cgroup"}},
		"version 1 beside":          {"4:memory:/x\n2:cpu,cpuacct:/\n0::/\n", old, []string{"1 /sys/fs/cgroup/memory/x", "1 /sys/fs/cgroup/cpu,cpuacct", "2 /sys/fs/cgroup/unified"}},
		"not mounted":               {"4:memory:/x\n7:blkio:/\n", old, []string{"1 /sys/fs/cgroup/memory/x"}},
		"own group is the mount":    {"4:memory:/docker/abc\n", inside, []string{"1 /sys/fs/cgroup/memory"}},
		"own group is not in sight": {"4:memory:/elsewhere\n", inside, []string{"1 /sys/fs/cgroup/memory"}},
		"spaces":                    {"4:memory:/\n", spaces, []string{"1 /a b"}},
		"nothing":                   {"", "", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			found, err := places([]byte(test.groups), []byte(test.mounts))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range found {
				got = append(got, string(rune('0'+p.version))+" "+p.own)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("places = %q, want %q", got, test.want)
			}
		})
	}
	if _, err := places([]byte("garbage"), nil); err == nil {
		t.Error("garbage was understood")
	}
}

func TestSettings(t *testing.T) {
	tests := map[string]struct {
		version int
		limits  Limits
		want    []string
	}{
		"version 2, none": {2, Limits{}, []string{"cpu.max max 100000", "memory.max max", "pids.max max", "memory.swap.max max"}},
		"version 2, all": {
			2,
			Limits{Cores: 1500, Memory: 1 << 20, Processes: 7},
			[]string{"cpu.max 150000 100000", "memory.max 1048576", "pids.max 7", "memory.swap.max 0"},
		},
		"version 1, none": {1, Limits{}, []string{"cpu.cfs_period_us 100000", "cpu.cfs_quota_us -1", "memory.limit_in_bytes -1", "pids.max max", "memory.memsw.limit_in_bytes -1"}},
		"version 1, all": {
			1,
			Limits{Cores: 500, Memory: 1 << 20, Processes: 7},
			[]string{"cpu.cfs_period_us 100000", "cpu.cfs_quota_us 50000", "memory.limit_in_bytes 1048576", "pids.max 7", "memory.memsw.limit_in_bytes 1048576"},
		},
		"less than the kernel takes": {2, Limits{Cores: 1}, []string{"cpu.max 1000 100000", "memory.max max", "pids.max max", "memory.swap.max max"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			needed, optional := test.limits.settings(test.version)
			var got []string
			for _, s := range append(needed, optional...) {
				got = append(got, s.file+" "+s.value)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("settings = %q, want %q", got, test.want)
			}
		})
	}
}

func FuzzPlaces(f *testing.F) {
	f.Add([]byte("0::/a\n4:memory:/x\n"), []byte("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"))
	f.Add([]byte("1:name=systemd:/\n"), []byte(`1 2 0:3 /\040 /\134x rw - cgroup cgroup rw,name=systemd`))
	f.Fuzz(func(t *testing.T, groups, mounts []byte) {
		found, err := places(groups, mounts)
		if err != nil {
			return
		}
		for _, p := range found {
			if p.mount == "" || p.own == "" {
				t.Errorf("%+v has no folder", p)
			}
		}
	})
}
