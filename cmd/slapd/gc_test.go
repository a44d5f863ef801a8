package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
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
	tuneGC(time.Now)
	if got := percent(); got != usualGrowth {
		t.Fatalf("a new process grows by %d %% between collections, want %d", got, usualGrowth)
	}
	for n := 0; percent() == usualGrowth; n++ { // cleanups run some time after a collection
		if n == 1000 {
			t.Fatal("a process that collects all the time is not taken to be busy")
		}
		runtime.GC()
	}
}

func TestGrowthOf(t *testing.T) {
	for _, tc := range []struct {
		live  uint64
		cycle time.Duration
		busy  bool
		want  int
	}{
		{8 << 20, time.Minute, false, usualGrowth},
		{8 << 20, busyCycle, false, usualGrowth},
		{8 << 20, busyCycle - 1, false, 1200},
		{8 << 20, busyCycle, true, 1200},
		{8 << 20, calmCycle, true, usualGrowth},
		{0, 0, false, 9600},
		{largeHeap, 0, false, usualGrowth},
		{largeHeap + 1, time.Minute, false, largeGrowth},
		{largeHeap + 1, 0, false, 37},
		{1 << 30, 0, true, largeGrowth},
	} {
		if got := growthOf(tc.live, tc.cycle, tc.busy); got != tc.want {
			t.Errorf("%d MiB, collected after %v, busy %t: grows by %d %%, want %d", tc.live>>20, tc.cycle, tc.busy, got, tc.want)
		}
	}
}
