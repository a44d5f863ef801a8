package journal

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchEntry(rng *rand.Rand, n uint64) Entry {
	acct := fmt.Sprintf("account-%03d", rng.IntN(500))
	return Entry{
		N: n, Index: n/2 + 7, At: UnixNano(1763800000000000000 + int64(n)*1e6),
		Kind: "allocated", Principal: "token abcdefgh", Account: acct, Instance: 1 + rng.Uint64N(1_000_000),
		Computer: fmt.Sprintf("c%031d", rng.IntN(10000)),
		Postings: []Posting{{acct, -1500}, {"mesh", 1500}},
		Rest:     Commitment{byte(n), byte(n >> 8), 3},
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, batch := range []int{1, 32, 128} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			j, err := Open(b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			rng := rand.New(rand.NewPCG(1, 2))
			pool := make([]Entry, 1<<16)
			for i := range pool {
				pool[i] = benchEntry(rng, 0)
			}
			cpu := cpuTime()
			b.ResetTimer()
			b.ReportAllocs()
			group := make([]Entry, batch)
			for n := 0; n < b.N; n += batch {
				for i := range group {
					group[i] = pool[(n+i)&0xffff]
					group[i].N = uint64(n + i)
				}
				if _, err := j.Append(group...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
			b.ReportMetric((cpuTime()-cpu).Seconds()*1e6/float64(b.N), "cpu-µs/entry")
		})
	}
}
