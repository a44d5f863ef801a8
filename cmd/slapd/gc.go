package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// smallHeap is below what memory is spent to save time: a peer's few live
	// megabytes would otherwise be collected at every few dozen commands.
	smallHeap   = 24 << 20 // bytes
	smallGrowth = 400      // percent
	usualGrowth = 100

	// largeHeap is from what on the same growth would cost more memory than
	// the time is worth: a ledger of a million instances.
	largeHeap   = 256 << 20 // bytes
	largeGrowth = 30
)

// tuneGC has a small heap collected more seldom, and a large one as usual. It
// does nothing where the user has set GOGC.
func tuneGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(smallGrowth)
		afterNextGC(smallGrowth)
	}
}

// afterNextGC looks at the live heap after the next collection, and so on.
func afterNextGC(growth int) {
	runtime.AddCleanup(new([16]byte), func(was int) {
		now := growthOf(liveHeap())
		if now != was {
			debug.SetGCPercent(now)
		}
		afterNextGC(now)
	}, growth)
}

// growthOf says by how many percent a live heap may grow before it is collected.
func growthOf(live uint64) int {
	switch {
	case live < smallHeap:
		return smallGrowth
	case live > largeHeap:
		return largeGrowth
	}
	return usualGrowth
}

func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
