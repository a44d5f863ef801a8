//go:build linux

package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/slapmesh/slapmesh/partition/meter"
)

// Read implements [meter.Source].
func (p *Partition) Read(ctx context.Context) (meter.Reading, error) {
	r := meter.Reading{Disk: p.disk.Load()}
	cpu, hasCPU, err := p.processorGroup()
	if err != nil {
		return r, err
	}
	memory, hasMemory, err := p.memoryGroup()
	if err != nil {
		return r, err
	}
	if hasCPU {
		r.By, r.Tasks = meter.ByCgroup, []meter.Task{cpu}
	}
	if hasMemory {
		r.Memory = memory
	}
	if !hasCPU || !hasMemory {
		if err := p.readProcesses(&r, !hasCPU, !hasMemory); err != nil {
			return r, err
		}
	}
	if r.Network, err = p.network(); err != nil {
		return r, err
	}
	if p.Metrics != nil {
		if m, err := p.Metrics(ctx); err == nil {
			r.Metrics = m
		}
	}
	return r, nil
}

// readProcesses measures the partition's processes.
func (p *Partition) readProcesses(r *meter.Reading, cpu, memory bool) error {
	t, err := p.Kernel.processes()
	if err != nil {
		return err
	}
	for _, q := range p.processes(t) {
		if cpu {
			r.By = meter.ByProcess
			r.Tasks = append(r.Tasks, meter.Task{ID: uint64(q.pid), Start: q.start, Own: q.own, Reaped: q.reaped})
		}
		if memory {
			bytes, err := p.Kernel.memory(q)
			if err != nil {
				return err
			}
			r.Memory = plus(r.Memory, bytes)
		}
	}
	return nil
}

// processes returns those of the table that are the partition's.
func (p *Partition) processes(t *table) []process {
	ours := make(map[int]process)
	if p.UID != 0 {
		for pid, q := range t.processes {
			if q.uid == p.UID {
				ours[pid] = q
			}
		}
	}
	if p.PID != nil {
		below := []int{p.PID()}
		for len(below) > 0 {
			pid := below[0]
			below = below[1:]
			if q, ok := t.processes[pid]; ok {
				ours[pid] = q
				below = append(below, t.children[pid]...)
			}
		}
	}
	return slices.Collect(maps.Values(ours))
}

// processorGroup returns the processor time of the control group.
func (p *Partition) processorGroup() (meter.Task, bool, error) {
	for _, dir := range p.Cgroups {
		for _, file := range []struct {
			name  string
			unit  uint64
			parse func([]byte) (uint64, error)
		}{
			{"cpu.stat", 1000, func(b []byte) (uint64, error) { return parseKeyed(b, "usage_usec") }},
			{"cpuacct.usage", 1, parseNumber},
		} {
			n, ok, err := readNumber(filepath.Join(dir, file.name), file.parse)
			if err != nil || !ok {
				if file.name == "cpu.stat" && err != nil {
					continue // version 1 has a file of that name, without the time
				}
				if err != nil {
					return meter.Task{}, false, err
				}
				continue
			}
			var status syscall.Stat_t
			if err := syscall.Lstat(dir, &status); err != nil {
				return meter.Task{}, false, fmt.Errorf("read control group: %w", err)
			}
			return meter.Task{Start: status.Ino, Own: times(n, file.unit)}, true, nil
		}
	}
	return meter.Task{}, false, nil
}

// memoryGroup returns the memory of the control group, without the cache of
// files that the kernel can take back at any time.
func (p *Partition) memoryGroup() (uint64, bool, error) {
	for _, dir := range p.Cgroups {
		for _, file := range []struct{ used, cache string }{
			{"memory.current", "inactive_file"}, {"memory.usage_in_bytes", "total_inactive_file"},
		} {
			used, ok, err := readNumber(filepath.Join(dir, file.used), parseNumber)
			if err != nil {
				return 0, false, err
			}
			if !ok {
				continue
			}
			cache, _, err := readNumber(filepath.Join(dir, "memory.stat"), func(b []byte) (uint64, error) { return parseKeyed(b, file.cache) })
			return used - min(used, cache), true, err
		}
	}
	return 0, false, nil
}

// readNumber reads a number from a file, if it is there.
func readNumber(path string, parse func([]byte) (uint64, error)) (uint64, bool, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		return 0, false, nil // the group has gone, or lacks the controller
	}
	if err != nil {
		return 0, false, fmt.Errorf("read control group: %w", err)
	}
	n, err := parse(data)
	if err != nil {
		return 0, false, fmt.Errorf("read %s: %w", path, err)
	}
	return n, true, nil
}

// network returns the counters of bytes in and out.
func (p *Partition) network() ([]meter.Counter, error) {
	var counters []meter.Counter
	if p.Carried != nil {
		counters = append(counters, meter.Counter{Name: "carried " + p.Kernel.token, Value: p.Carried()})
	}
	if p.PID == nil {
		return counters, nil
	}
	pid := p.PID()
	if pid <= 0 {
		return counters, nil
	}
	name := strconv.Itoa(pid)
	own, err := os.Readlink(p.Kernel.path("self", "ns", "net"))
	if err != nil {
		return nil, fmt.Errorf("read network namespace: %w", err)
	}
	theirs, err := os.Readlink(p.Kernel.path(name, "ns", "net"))
	if ended(err) || errors.Is(err, fs.ErrPermission) || err == nil && theirs == own {
		return counters, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read network namespace: %w", err)
	}
	// Numbers of namespaces are given again; with when the process began,
	// this one's is not.
	t, err := p.Kernel.processes()
	if err != nil {
		return nil, err
	}
	q, ok := t.processes[pid]
	if !ok {
		return counters, nil
	}
	data, err := os.ReadFile(p.Kernel.path(name, "net", "dev"))
	if ended(err) || errors.Is(err, syscall.EINVAL) {
		return counters, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read network: %w", err)
	}
	sum, err := parseDevices(data)
	if err != nil {
		return nil, fmt.Errorf("read network: %w", err)
	}
	return append(counters, meter.Counter{Name: fmt.Sprintf("%s of %d", theirs, q.start), Value: sum}), nil
}
