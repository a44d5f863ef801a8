package ledger

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
)

// large returns a mesh with so many instances, each with its bill, on a
// hundredth as many computers, of which a thousandth as many accounts own some
// and ask for some.
func large(tb testing.TB, instances int) *world {
	tb.Helper()
	w := given(tb, "system found home ann p0\np0 publish web 1\n")
	computers, accounts := max(10, instances/100), max(10, instances/1000)
	for n := range accounts {
		name := AccountName(fmt.Sprintf("a%05d", n))
		w.Evolve(AccountOpened{Account{Name: name, Created: noon}})
		w.mustAsk(System(), SetPrice{Account: name, Rates: book.Rates{Core: 20_000_000_000, Partition: 1_000_000_000}})
	}
	for n := range computers {
		id := PeerID(fmt.Sprintf("p%05d", n))
		owner := AccountName(fmt.Sprintf("a%05d", n%accounts))
		w.Evolve(Admitted{Peer: Peer{ID: id, Name: string(id), PublicKey: publicKeyOf("p1"), Account: owner, Role: RoleComputer, Admitted: noon}})
		w.mustAsk(AsPeer(id), Offer{
			Partitions: 1000, Scope: ScopePublic, Arch: "amd64", Grade: "sandbox",
			Labels: map[string]string{"country": fmt.Sprint(n % 50), "hardware": fmt.Sprint(n % 3)},
		})
	}
	for n := range instances {
		w.live(AccountName(fmt.Sprintf("a%05d", n*7%accounts)), fmt.Sprint("i", n))
	}
	return w
}

// live requests an instance and has it started.
func (w *world) live(account AccountName, reference string) Instance {
	w.Helper()
	ref := Reference(reference)
	w.mustAsk(AsAccount(account), Request{Reference: ref, Release: DigestOf(profileOf("web", "1")), Parameters: params("size", "12")})
	i, _ := w.InstanceByReference(account, ref)
	w.mustAsk(AsPeer(PeerID(i.Computer)), Report{Instances: []InstanceReport{{
		ID: i.ID, Generation: i.Generation, State: InstanceStarted, Healthy: true,
		Connection: map[string]string{"url": "memcached://" + i.Address.String() + ":11211"}, Ports: map[string]uint16{"memcached": 11211},
	}}})
	return i
}

// end has an instance destroyed.
func (w *world) end(i Instance) {
	w.Helper()
	w.mustAsk(AsAccount(i.Account), SetState{Reference: i.Reference, State: InstanceDestroyed})
	now, _ := w.Instance(i.ID)
	w.mustAsk(AsPeer(PeerID(i.Computer)), Report{Instances: []InstanceReport{{ID: i.ID, Generation: now.Generation, State: InstanceDestroyed}}})
}

// heap returns what is in use, once all garbage is gone.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// cpuTime is what this process has used so far, its garbage collection included:
// what a decision costs, on a computer that has other things to do.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// p99 returns what 99 of 100 commands do not exceed, each followed by the view
// that readers get, as a replica does it.
func p99(w *world, commands int, prefix string) time.Duration {
	took := make([]time.Duration, commands)
	for n := range took {
		begun := time.Now()
		w.mustAsk(System(), Pay{ID: fmt.Sprint(prefix, n), From: MintAccount, To: AccountName(fmt.Sprintf("a%05d", n%10)), Sum: 1})
		w.Copy()
		took[n] = time.Since(begun)
	}
	slices.Sort(took)
	return took[commands*99/100]
}

// BenchmarkScale measures decisions at two sizes, so that what grows with the
// mesh shows, and what the larger one weighs and takes to restart.
func BenchmarkScale(b *testing.B) {
	for _, size := range []int{1_000, 1_000_000} {
		before := heap()
		w := large(b, size)
		weight := heap() - before
		b.Run(fmt.Sprint("decide/instances=", size), func(b *testing.B) {
			n, used := 0, cpuTime()
			for b.Loop() { // a new instance, its report, its end, and the report of that
				n++
				w.end(w.live(AccountName(fmt.Sprintf("a%05d", n%10)), fmt.Sprint("x", n)))
			}
			b.ReportMetric(float64(4*b.N)/b.Elapsed().Seconds(), "decisions/s")
			b.ReportMetric(float64(4*b.N)/(cpuTime()-used).Seconds(), "decisions/cpu-s")
			b.ReportMetric(float64(weight)/float64(size), "B/instance")
		})
		b.Run(fmt.Sprint("pay/instances=", size), func(b *testing.B) {
			n, used := 0, cpuTime()
			for b.Loop() {
				n++
				w.mustAsk(System(), Pay{ID: fmt.Sprint("t", n), From: MintAccount, To: AccountName(fmt.Sprintf("a%05d", n%10)), Sum: 1})
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "transfers/s")
			b.ReportMetric(float64(b.N)/(cpuTime()-used).Seconds(), "transfers/cpu-s")
		})
		b.Run(fmt.Sprint("snapshot/instances=", size), func(b *testing.B) {
			for n := 0; b.Loop(); n++ {
				alone := p99(w, 20_000, fmt.Sprint("alone", n, "-"))
				var wg sync.WaitGroup
				stop := make(chan struct{})
				wg.Go(func() {
					for s := w.Copy(); ; { // again and again, from what was captured
						if err := s.WriteSnapshot(io.Discard); err != nil {
							b.Error(err)
						}
						select {
						case <-stop:
							return
						default:
						}
					}
				})
				meanwhile := p99(w, 20_000, fmt.Sprint("meanwhile", n, "-"))
				close(stop)
				wg.Wait()
				b.ReportMetric(float64(alone.Microseconds()), "µs/p99")
				b.ReportMetric(float64(meanwhile)/float64(alone), "times/p99-meanwhile")
			}
		})
		b.Run(fmt.Sprint("restart/instances=", size), func(b *testing.B) {
			var stream bytes.Buffer
			begun := time.Now()
			if err := w.WriteSnapshot(&stream); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(time.Since(begun).Seconds(), "s/written")
			b.ReportMetric(float64(stream.Len())/float64(size), "B/instance")
			w = nil // a process that starts has nothing but the file
			heap()
			for b.Loop() {
				if _, err := ReadSnapshot(bytes.NewReader(stream.Bytes())); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
