//go:build linux

package sandbox_test

import (
	"context"
	"io"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/limits"
	"github.com/slapmesh/slapmesh/partition/sandbox"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// BenchmarkNeighbour measures what a service's callers notice of an attacker
// in the next partition, who holds all that its limits leave it of cores,
// processes, memory and disk at once: half of the cores, 256 MiB.
func BenchmarkNeighbour(b *testing.B) {
	c := newBenchmark(b)
	if grade, why := c.host.Grade(); grade != sandbox.GradeIsolated {
		b.Skipf("limits do not hold here: %s", why)
	}
	const address = "127.64.250.4:8080"
	victim := c.running(b, sandbox.Partition{Folder: c.folder, Tree: c.tree}, service("web", address))
	answers := func(b *testing.B) {
		b.Helper()
		var took []time.Duration
		for b.Loop() {
			began := time.Now()
			conn, err := victim.Dial(b.Context(), netip.MustParseAddrPort(address), false)
			if err == nil {
				_, err = io.ReadAll(conn)
				_ = conn.Close()
			}
			if err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	}
	b.Run("quiet", answers)
	attacker := sandbox.Partition{
		Folder: filepath.Join(filepath.Dir(c.folder), "p1"), Tree: c.tree, Disk: 64 << 20,
		Limits: limits.Limits{Cores: int64(runtime.NumCPU()) * 500, Memory: 256 << 20, Processes: 256},
	}
	b.Cleanup(func() {
		if err := c.host.Destroy(context.Background(), attacker.Folder); err != nil {
			b.Error(err)
		}
	})
	var attacks []supervisor.Service
	for _, attack := range []string{"bomb", "hog", "fill", "litter"} {
		argv := []string{"probe", attack}
		if attack == "fill" || attack == "litter" {
			argv = append(argv, "/data")
		}
		attacks = append(attacks, supervisor.Service{Name: attack, Argv: argv})
	}
	c.running(b, attacker, attacks...)
	b.Run("attacked", answers)
}

// running launches a partition with services, and waits until they were
// started.
func (c computer) running(b *testing.B, p sandbox.Partition, services ...supervisor.Service) *sandbox.Running {
	b.Helper()
	r, err := c.host.Launch(b.Context(), p)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.Close() })
	if err := r.Apply(b.Context(), supervisor.Spec{Services: services}); err != nil {
		b.Fatal(err)
	}
	ctx, done := context.WithTimeout(b.Context(), time.Minute)
	defer done()
	begun := false
	err = r.Watch(ctx, func(s supervisor.Status) {
		begun = begun || s.Phase == supervisor.PhaseStarted ||
			len(services) > 1 && len(s.Services) == len(services) && !slices.ContainsFunc(s.Services, func(s supervisor.ServiceStatus) bool { return s.Starts == 0 })
		if begun {
			done()
		}
	})
	if !begun {
		b.Fatalf("%s: %v", p.Folder, err)
	}
	return r
}
