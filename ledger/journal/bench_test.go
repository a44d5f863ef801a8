package journal

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// benchSize is the number of entries of the larger benchmarks. Others with
// JOURNAL_ENTRIES=10000000.
func benchSize() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("JOURNAL_ENTRIES"), 10, 64); err == nil {
		return n
	}
	return 1_000_000
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident returns how much memory the process holds, in MiB.
func resident(b *testing.B) float64 {
	b.Helper()
	debug.FreeOSMemory()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Skip(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(data))[1])
	if err != nil {
		b.Fatal(err)
	}
	return float64(pages*os.Getpagesize()) / (1 << 20)
}

// A load is what charges of a large mesh look like: of 500 accounts, a
// million instances and 10,000 computers, all alike, which no cache likes.
type load []Entry

func newLoad() load {
	rng := rand.New(rand.NewPCG(1, 2))
	l := make(load, 1<<16)
	for i := range l {
		account := fmt.Sprintf("account-%03d", rng.IntN(500))
		l[i] = Entry{
			Kind: "charged", Principal: "token abcdefgh", Account: account,
			Instance: 1 + rng.Uint64N(1_000_000), Computer: fmt.Sprintf("c%031d", rng.IntN(10_000)),
			Postings: []Posting{{account, -1500}, {"mesh", 1500}},
			Rest:     Secret{1}.Salt(uint64(i)).Commit(nil),
		}
	}
	return l
}

// group puts the entries from n on into g.
func (l load) group(g []Entry, n uint64) {
	for i := range g {
		at := n + uint64(i)
		g[i] = l[at%uint64(len(l))]
		g[i].N, g[i].Index, g[i].At = at, at/2, UnixNano(1763800000e9+int64(at)*1e6)
		g[i].Instance = 1 + (g[i].Instance*(1+at>>16))%1_000_000
	}
}

// fill appends up to size entries.
func (l load) fill(b *testing.B, j *Journal, size uint64) {
	b.Helper()
	g := make([]Entry, 500)
	for n := j.Size(); n < size; n = j.Size() {
		g = g[:min(500, size-n)]
		l.group(g, n)
		if _, err := j.Append(g...); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1, 32, 128} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			j := open(b, b.TempDir())
			l, g := newLoad(), make([]Entry, size)
			cpu := cpuTime()
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += size {
				l.group(g, uint64(n))
				if _, err := j.Append(g...); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
			b.ReportMetric((cpuTime()-cpu).Seconds()*1e6/float64(b.N), "cpu-µs/entry")
		})
	}
}

// BenchmarkReplay appends what is there already.
func BenchmarkReplay(b *testing.B) {
	j := open(b, b.TempDir())
	l, g := newLoad(), make([]Entry, 32)
	l.fill(b, j, 100_000)
	b.ResetTimer()
	for n := 0; n < b.N; n += len(g) {
		l.group(g, uint64(n)%99_000)
		if _, err := j.Append(g...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkLarge measures what is done with a large journal, and what it
// weighs: at once behind its making, and opened again.
func BenchmarkLarge(b *testing.B) {
	dir, l, size := b.TempDir(), newLoad(), benchSize()
	before := resident(b)
	j, err := Open(dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("an empty journal adds %.1f MiB", resident(b)-before)
	began := time.Now()
	l.fill(b, j, size)
	b.Logf("appended %d entries in %v, which add %.1f MiB", size, time.Since(began), resident(b)-before)
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("open", func(b *testing.B) {
		for range b.N {
			j := must(Open(dir, Options{}))
			if j.Size() != size {
				b.Fatal(j.Size())
			}
			if err := j.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	before = resident(b)
	j = open(b, dir)
	b.Logf("opened again it adds %.1f MiB", resident(b)-before)
	b.Run("prove", func(b *testing.B) {
		rng := rand.New(rand.NewPCG(1, 1))
		for range b.N {
			if _, err := j.ProveInclusion(rng.Uint64N(size), size); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "proofs/s")
	})
	b.Run("page", func(b *testing.B) {
		rng := rand.New(rand.NewPCG(1, 1))
		for range b.N {
			q := Query{Instance: 1 + rng.Uint64N(1_000_000), From: size, Backwards: true, Limit: 20}
			if _, err := answer(j, q); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verify", func(b *testing.B) {
		for range b.N {
			if _, err := j.Verify(b.Context(), VerifyOptions{}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)*float64(size)/b.Elapsed().Seconds(), "entries/s")
	})
	b.Logf("at the end it adds %.1f MiB", resident(b)-before)
}

func BenchmarkExport(b *testing.B) {
	j := open(b, b.TempDir())
	newLoad().fill(b, j, 10_000)
	b.ResetTimer()
	for range b.N {
		if err := j.Export(b.Context(), io.Discard, 0, 10_000); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*10_000/b.Elapsed().Seconds(), "entries/s")
}
