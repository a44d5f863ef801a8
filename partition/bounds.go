package partition

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/limits"
	"github.com/slapmesh/slapmesh/partition/sandbox"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// limitsOf holds an instance to what the ledger keeps for it.
func limitsOf(n ledger.Needs) limits.Limits { return limits.Limits{Cores: n.Cores, Memory: n.Memory} }

// Watch implements [Host].
func (c *Computer) Watch(ctx context.Context, partition int, f func(supervisor.Status)) error {
	folder := c.folder(partition)
	client := supervisor.Client{Dir: sandbox.Run(folder)}
	group := c.Walls.Group(folder)
	return client.Watch(ctx, func(s supervisor.Status) {
		s = explainMemory(s, group.OutOfMemory(), group.Memory())
		if s.Reason != "" {
			if running, err := c.Walls.Find(ctx, folder); err == nil {
				used, size := c.Walls.Fullness(running)
				s = explainDisk(s, used, size)
				_ = running.Close() // nothing was written
			}
		}
		f(s)
	})
}

// explainDisk says of what does not work in a partition whose disk is full
// that this may be why.
func explainDisk(s supervisor.Status, used, size int64) supervisor.Status {
	const mib = 1 << 20
	if s.Reason == "" || size == 0 || size-used >= mib {
		return s
	}
	s.Reason += fmt.Sprintf("; disk full: %d of %d MiB, request it again with a higher --disk", used/mib, size/mib)
	return s
}

// Groups returns the control groups of a partition. They may not be there.
func (c *Computer) Groups(partition int) []string {
	return c.Walls.Group(c.folder(partition)).Folders()
}

// byKernel is how a supervisor, who cannot see why, says that the kernel, or
// somebody, ended a process.
const byKernel = "killed by signal 9 (killed)"

// explainMemory says of processes that were killed in a partition which ran
// out of memory that this was why. A limit of 0 is that of all partitions of
// the computer together.
func explainMemory(s supervisor.Status, kills uint64, limit int64) supervisor.Status {
	if kills == 0 {
		return s
	}
	why := "out of memory: all instances of this computer together have none left"
	if limit > 0 {
		why = "out of memory: it may use " + strconv.FormatInt(limit>>20, 10) + " MiB, request it again with a higher --memory"
	}
	s.Reason = strings.ReplaceAll(s.Reason, byKernel, why)
	return s
}
