package meter

import (
	"context"
	"fmt"

	"github.com/slapmesh/slapmesh/ledger"
)

// A Source reads what one instance uses.
type Source interface {
	// Read returns what the counters show now. It is called every few seconds
	// by one goroutine at a time, and the other instances wait meanwhile: it
	// must be quick, and heed ctx. After an error the next reading covers the time of
	// both: counters lose nothing.
	Read(ctx context.Context) (Reading, error)
}

// A Walker is a [Source] part of whose reading takes too long to be taken
// with every sample: how much a folder holds.
type Walker interface {
	Source

	// Walk measures it anew, for the readings that follow. It is called
	// every few minutes, beside Read.
	Walk(ctx context.Context) error
}

// A Reading is what the counters of one instance show at one moment. With
// nothing running it has no tasks, and usually still some disk. What the meter
// was given it keeps: a source must not write to it again.
type Reading struct {
	By      string            `cbor:"1,keyasint,omitempty"` // who counted the tasks: ByProcess or ByCgroup
	Tasks   []Task            `cbor:"2,keyasint,omitempty"` // none twice
	Memory  uint64            `cbor:"3,keyasint,omitempty"` // bytes in use
	Disk    uint64            `cbor:"4,keyasint,omitempty"` // bytes in use
	Network []Counter         `cbor:"5,keyasint,omitempty"` // bytes, in and out; none if nobody counts them
	Metrics map[string]uint64 `cbor:"6,keyasint,omitempty"` // what the profile counts; one that is lower than before began anew
}

// Who can count processor time. When that changes, the readings on both
// sides of the change are not compared.
const (
	ByProcess = "process"
	ByCgroup  = "cgroup"
)

// A Task is a process, or a group of them, whose processor time the kernel
// counts. ID and Start together name it as long as the computer is up.
type Task struct {
	ID     uint64 `cbor:"1,keyasint,omitempty"`
	Start  uint64 `cbor:"2,keyasint,omitempty"`
	Own    uint64 `cbor:"3,keyasint,omitempty"` // nanoseconds that it ran
	Reaped uint64 `cbor:"4,keyasint,omitempty"` // nanoseconds that ended children ran, which it waited for
}

// A Counter only grows. One with a new name begins at zero.
type Counter struct {
	Name  string `cbor:"1,keyasint"`
	Value uint64 `cbor:"2,keyasint,omitempty"`
}

// Bounds on a reading. A source that exceeds them is not believed.
const (
	maxTasks    = 1 << 15
	maxCounters = 16
	maxName     = 128     // bytes of the name of a counter
	maxMetric   = 64      // bytes of the name of a metric
	maxGauge    = 1 << 60 // bytes of memory or disk
)

// check refuses a reading that cannot be true.
func (r Reading) check() error {
	switch {
	case len(r.Tasks) > maxTasks:
		return fmt.Errorf("reading: %d tasks, at most %d", len(r.Tasks), maxTasks)
	case len(r.Network) > maxCounters:
		return fmt.Errorf("reading: %d network counters, at most %d", len(r.Network), maxCounters)
	case len(r.Metrics) > ledger.MaxMetrics:
		return fmt.Errorf("reading: %d metrics, at most %d", len(r.Metrics), ledger.MaxMetrics)
	case r.Memory > maxGauge || r.Disk > maxGauge:
		return fmt.Errorf("reading: %d bytes of memory and %d of disk, at most %d", r.Memory, r.Disk, uint64(maxGauge))
	}
	for _, c := range r.Network {
		if len(c.Name) > maxName {
			return fmt.Errorf("reading: a counter's name has %d bytes, at most %d", len(c.Name), maxName)
		}
	}
	for name := range r.Metrics {
		if name == "" || len(name) > maxMetric {
			return fmt.Errorf("reading: a metric's name has %d bytes, 1 to %d expected", len(name), maxMetric)
		}
	}
	return nil
}
