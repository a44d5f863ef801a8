package plaintext

import (
	"fmt"
	"io"
	"testing"

	"github.com/slapmesh/slapmesh/ledger/journal"
)

// BenchmarkWrite writes charges of 500 accounts. What it holds does not grow
// with their number, so nor do the bytes that it allocates for each.
func BenchmarkWrite(b *testing.B) {
	for _, f := range Formats() {
		b.Run(string(f), func(b *testing.B) {
			b.ReportAllocs()
			entries := func(yield func(journal.Entry, error) bool) {
				for n := range uint64(b.N) {
					payer := fmt.Sprintf("account-%03d", n%500)
					e := journal.Entry{
						N: n, Index: n, At: journal.UnixNano(1763800000e9 + int64(n)*1e6), Kind: "billed", Principal: "peer 3f2a", Account: payer,
						Instance: n % 1000, Computer: "3f2a", Used: []journal.Quantity{{Unit: "core-nanoseconds", Amount: n}, {Unit: "requests", Amount: 1}},
						Postings: []journal.Posting{{Account: payer, Amount: -1500}, {Account: "@mesh", Amount: 1500}},
					}
					if !yield(e, nil) {
						return
					}
				}
			}
			if err := Write(io.Discard, f, entries, Options{Mesh: "bench"}); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
