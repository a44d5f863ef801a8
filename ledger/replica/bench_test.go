package replica_test

import (
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/journal"
	"github.com/slapmesh/slapmesh/ledger/replica"
)

// BenchmarkApply applies entries of as many commands as group commit makes
// of them.
func BenchmarkApply(b *testing.B) {
	for _, group := range []int{1, 32, 128} {
		b.Run(fmt.Sprint("group=", group), func(b *testing.B) {
			r, log := newSolo(b)
			d := publish(b, r, "web")
			propose(b, r, ledger.AsPeer("p1"), ledger.Offer{Partitions: 10_000})
			for n := range 1000 {
				propose(b, r, ledger.AsPeer("p1"), ledger.Request{Reference: ledger.Reference(fmt.Sprint("i", n)), Release: d})
			}
			commands, n := make([][]byte, group), 0
			for b.Loop() {
				for k := range commands {
					n++
					commands[k] = encode(b, ledger.SetState{
						Reference: ledger.Reference(fmt.Sprint("i", n%1000)), State: []ledger.InstanceState{"stopped", "started"}[n/1000%2],
					})
				}
				log.index++
				r.Apply(log.index, noon, commands)
			}
			b.ReportMetric(float64(group*b.N)/b.Elapsed().Seconds(), "commands/s")
		})
	}
}

// BenchmarkChange applies entries of requests that change a parameter, with
// their history.
func BenchmarkChange(b *testing.B) {
	history, err := journal.Open(b.TempDir(), journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = history.Close() })
	r, log := newSoloWith(b, replica.Config{Journal: history})
	d := publish(b, r, "web")
	propose(b, r, ledger.AsPeer("p1"), ledger.Offer{Partitions: 10_000})
	for n := range 1000 {
		propose(b, r, ledger.AsPeer("p1"), ledger.Request{Reference: ledger.Reference(fmt.Sprint("i", n)), Release: d})
	}
	const group = 64
	commands, n := make([][]byte, group), 0
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for k := range commands {
			n++
			commands[k] = encode(b, ledger.Request{
				Reference: ledger.Reference(fmt.Sprint("i", n%128)), Release: d,
				Parameters: map[string]json.RawMessage{"size": fmt.Append(nil, n)},
			})
		}
		b.StartTimer()
		log.index++
		r.Apply(log.index, noon, commands)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(group*b.N), "µs/command")
}

func encode(b *testing.B, c ledger.Command) []byte {
	b.Helper()
	data, err := ledger.Encode(ledger.AsPeer("p1"), c)
	if err != nil {
		b.Fatal(err)
	}
	return data
}

func BenchmarkSnapshot(b *testing.B) {
	r, _ := newSolo(b)
	d := publish(b, r, "web")
	propose(b, r, ledger.AsPeer("p1"), ledger.Offer{Partitions: 10_000})
	for n := range 10_000 {
		propose(b, r, ledger.AsPeer("p1"), ledger.Request{Reference: ledger.Reference(fmt.Sprint("i", n)), Release: d})
	}
	b.Run("capture", func(b *testing.B) {
		for b.Loop() {
			if _, err := r.Snapshot(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("write10000", func(b *testing.B) {
		for b.Loop() {
			s, err := r.Snapshot()
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.WriteTo(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("restore10000", func(b *testing.B) {
		for b.Loop() {
			s, err := r.Snapshot()
			if err != nil {
				b.Fatal(err)
			}
			in, out := io.Pipe()
			go func() {
				_, err := s.WriteTo(out)
				_ = out.CloseWithError(err) // never fails
			}()
			if err := replica.New(replica.Config{}).Restore(in); err != nil {
				b.Fatal(err)
			}
		}
	})
}
