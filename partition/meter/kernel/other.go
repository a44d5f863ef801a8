//go:build !linux

package kernel

import (
	"context"
	"crypto/rand"

	"github.com/slapmesh/slapmesh/partition/meter"
)

// A Kernel tells nothing of processes on this system.
type Kernel struct {
	token string // names this run, in counters that begin with it
}

// Open returns the kernel of this computer.
func Open(string) *Kernel { return &Kernel{token: rand.Text()} }

// Read implements [meter.Source]. What processes use is measured on Linux
// alone; here it is what the instance stores, and what was carried for it, and
// what its profile counts.
func (p *Partition) Read(ctx context.Context) (meter.Reading, error) {
	r := meter.Reading{Disk: p.disk.Load()}
	if p.Carried != nil {
		r.Network = []meter.Counter{{Name: "carried " + p.Kernel.token, Value: p.Carried()}}
	}
	if p.Metrics != nil {
		if m, err := p.Metrics(ctx); err == nil {
			r.Metrics = m
		}
	}
	return r, nil
}
