package meter

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// full returns a meter of 100 instances with ten processes each, and its
// clock.
func full(b *testing.B) (*Meter, *time.Duration) {
	b.Helper()
	mono := time.Hour
	m, err := New(Config{
		Dir: b.TempDir(), Mesh: "m", Computer: "c", Cores: 64, Log: slog.New(slog.DiscardHandler),
		Sign:  func(m []byte) []byte { return ed25519.Sign(testKey, m) },
		Clock: func() time.Time { return noon.Add(mono) }, Boot: "b", Monotonic: func() time.Duration { return mono },
		MaxReports: 1 << 30,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.Close() })
	for id := range ledger.InstanceID(100) {
		r := Reading{By: ByProcess, Memory: 1 << 27, Disk: 1 << 30}
		for n := range uint64(10) {
			r.Tasks = append(r.Tasks, Task{uint64(id)*1000 + n, 1 << 20, 1 << 30, 1 << 25})
		}
		if err := m.Track(b.Context(), id, int(id), &standing{r}); err != nil {
			b.Fatal(err)
		}
	}
	return m, &mono
}

// A standing source reads one thing for ever.
type standing struct{ Reading }

func BenchmarkLook(b *testing.B) {
	m, mono := full(b)
	m.cfg.Checkpoint, m.cfg.Every = 1<<60, 1<<60
	for b.Loop() {
		*mono += time.Millisecond
		m.look(b.Context())
	}
}

func BenchmarkCheckpoint(b *testing.B) {
	m, _ := full(b)
	for b.Loop() {
		if err := m.writeCheckpoint(m.open, nil); err != nil {
			b.Fatal(err)
		}
	}
	files, _ := m.disk.list(".")
	b.ReportMetric(float64(files[checkpointFile]), "bytes")
}

func BenchmarkClose(b *testing.B) {
	m, mono := full(b)
	for b.Loop() {
		*mono += 10 * time.Minute
		m.look(b.Context())
	}
	b.ReportMetric(float64(m.spool.bytes)/float64(len(m.spool.waiting)), "bytes/report")
}

func (s *standing) Read(context.Context) (Reading, error) { return s.Reading, nil }
