package limits

import (
	"fmt"
	"strconv"
)

// Limits say what the processes of a group may use together. Zero is as much
// as there is.
type Limits struct {
	Cores     int64 // thousandths of a core
	Memory    int64 // bytes, swap included
	Processes int64 // processes and threads
}

// period is the time within which a group may use its cores, in
// microseconds: the kernel's default.
const period = 100_000

// minQuota is the shortest quota that the kernel takes, in microseconds.
const minQuota = 1000

// quota returns the processor time in each period, in microseconds.
func (l Limits) quota() int64 { return max(minQuota, l.Cores*period/1000) }

// A setting is a value for a file of a control group.
type setting struct{ controller, file, value string }

// settings lists what makes a group of a version keep to l. What a kernel may
// lack, as one without swap does, is optional and comes last.
func (l Limits) settings(version int) (needed, optional []setting) {
	number := func(n int64, none string) string {
		if n <= 0 {
			return none
		}
		return strconv.FormatInt(n, 10)
	}
	if version == 2 {
		quota := "max"
		if l.Cores > 0 {
			quota = strconv.FormatInt(l.quota(), 10)
		}
		needed = []setting{
			{"cpu", "cpu.max", fmt.Sprintf("%s %d", quota, period)},
			{"memory", "memory.max", number(l.Memory, "max")},
			{"pids", "pids.max", number(l.Processes, "max")},
		}
		swap := "max"
		if l.Memory > 0 {
			swap = "0" // memory.max does not count it
		}
		return needed, []setting{{"memory", "memory.swap.max", swap}}
	}
	quota := "-1"
	if l.Cores > 0 {
		quota = strconv.FormatInt(l.quota(), 10)
	}
	memory := number(l.Memory, "-1")
	return []setting{
		{"cpu", "cpu.cfs_period_us", strconv.Itoa(period)},
		{"cpu", "cpu.cfs_quota_us", quota},
		{"memory", "memory.limit_in_bytes", memory},
		{"pids", "pids.max", number(l.Processes, "max")},
	}, []setting{{"memory", "memory.memsw.limit_in_bytes", memory}}
}
