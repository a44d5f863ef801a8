package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How many percent a live heap may grow before it is collected.
const (
	// usualGrowth is for a peer that has little to do.
	usualGrowth = 200

	// largeHeap is from what on the same growth would cost more memory than
	// the time is worth: a ledger of a million instances.
	largeHeap   = 256 << 20 // bytes
	largeGrowth = 30

	// A peer whose heap is collected again within busyCycle is busy: then it
	// may gather busyGarbage, until that lasts for calmCycle.
	busyCycle   = time.Second
	calmCycle   = 5 * time.Second
	busyGarbage = 96 << 20 // bytes
)

// tuneGC keeps the heap of an idle peer small, and has a busy one collect it
// about once a second: its few live megabytes would otherwise be collected at
// every few dozen commands. It does nothing where the user has set GOGC.
func tuneGC(clock func() time.Time) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(usualGrowth)
		c := &collections{clock: clock, last: clock(), growth: usualGrowth}
		c.calm = time.AfterFunc(calmCycle, debug.FreeOSMemory) // which collects
		c.calm.Stop()
		c.awaitNext()
	}
}

// Collections are watched by the cleanups of each, one after the other.
type collections struct {
	clock  func() time.Time
	last   time.Time
	growth int
	calm   *time.Timer // gives back what a busy time has left
}

// awaitNext looks at the live heap after the next collection, and so on.
func (c *collections) awaitNext() {
	runtime.AddCleanup(new([16]byte), func(c *collections) {
		at := c.clock()
		growth := growthOf(liveHeap(), at.Sub(c.last), c.growth > usualGrowth)
		if growth != c.growth {
			debug.SetGCPercent(growth)
		}
		if c.last, c.growth = at, growth; growth > usualGrowth {
			c.calm.Reset(calmCycle)
		} else {
			c.calm.Stop()
		}
		c.awaitNext()
	}, c)
}

// growthOf says by how many percent a live heap may grow before it is collected
// again, when the collection before was so long ago and the peer was busy or not.
func growthOf(live uint64, cycle time.Duration, busy bool) int {
	growth := usualGrowth
	if live > largeHeap {
		growth = largeGrowth
	}
	if cycle < busyCycle || busy && cycle < calmCycle {
		growth = max(growth, int(100*busyGarbage/max(live, 1<<20)))
	}
	return growth
}

func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
