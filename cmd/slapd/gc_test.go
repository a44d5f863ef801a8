package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestTuneGC(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	percent := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	tuneGC()
	if got := percent(); got != smallGrowth {
		t.Fatalf("a new process grows by %d %% between collections, want %d", got, smallGrowth)
	}
	large := make([]byte, 4*smallHeap)
	for n := 0; percent() != usualGrowth; n++ { // cleanups run some time after a collection
		if n == 1000 {
			t.Fatalf("a heap of %d MiB grows by %d %%, want %d", liveHeap()>>20, percent(), usualGrowth)
		}
		runtime.GC()
	}
	runtime.KeepAlive(large)
}

func TestGrowthOf(t *testing.T) {
	for live, want := range map[uint64]int{0: smallGrowth, smallHeap: usualGrowth, largeHeap: usualGrowth, largeHeap + 1: largeGrowth, 1 << 30: largeGrowth} {
		if got := growthOf(live); got != want {
			t.Errorf("a heap of %d MiB grows by %d %%, want %d", live>>20, got, want)
		}
	}
}
