package ledger

import (
	"fmt"
	"testing"
)

// busy returns a mesh with many computers and instances.
func busy(tb testing.TB, computers, instances int) *world {
	tb.Helper()
	w := given(tb, "system found home ann p0\np0 publish web 1\n")
	for n := range computers {
		id := PeerID(fmt.Sprintf("p%05d", n))
		w.Evolve(Admitted{Peer: Peer{ID: id, Name: string(id), PublicKey: []byte{1}, Account: "ann", Role: RoleComputer, Admitted: noon}})
		if _, err := w.Decide(Offer{}, Context{noon, AsPeer(id)}); err != nil {
			tb.Fatal(err)
		}
		labels := map[string]string{"country": fmt.Sprint(n % 50), "hardware": fmt.Sprint(n % 3)}
		w.mustAsk(AsPeer(id), Offer{Partitions: 1000, Labels: labels, Arch: "amd64", Grade: "sandbox"})
	}
	for n := range instances {
		w.mustAsk(AsPeer("p0"), Request{Reference: Reference(fmt.Sprint("i", n)), Release: DigestOf(profileOf("web", "1")), Parameters: params("size", "12")})
	}
	return w
}

func (w *world) mustAsk(p Principal, c Command) {
	w.Helper()
	at := w.Advance(w.Index()+1, w.at)
	events, err := w.Decide(c, Context{at, p})
	if err != nil {
		w.Fatal(err)
	}
	w.Evolve(events...)
}

func BenchmarkRequest(b *testing.B) {
	for _, size := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint("instances=", size), func(b *testing.B) {
			w := busy(b, size/100, size)
			release := DigestOf(profileOf("web", "1"))
			n := 0
			for b.Loop() { // a new instance, its report, and its end
				ref := Reference(fmt.Sprint("x", n))
				n++
				w.mustAsk(AsPeer("p0"), Request{Reference: ref, Release: release, Parameters: params("size", "12")})
				i, _ := w.InstanceByReference("ann", ref)
				w.mustAsk(AsPeer(PeerID(i.Computer)), Report{Instances: []InstanceReport{{ID: i.ID, Generation: 1, State: InstanceStarted, Healthy: true, Connection: map[string]string{"url": "memcached://127.64.0.1:11211"}}}})
				w.mustAsk(AsPeer("p0"), SetState{Reference: ref, State: InstanceDestroyed})
				w.mustAsk(AsPeer(PeerID(i.Computer)), Report{Instances: []InstanceReport{{ID: i.ID, Generation: 2, State: InstanceDestroyed}}})
			}
			b.ReportMetric(float64(4*b.N)/b.Elapsed().Seconds(), "decisions/s")
		})
	}
}

func BenchmarkParse(b *testing.B) {
	data, err := Encode(AsPeer("p1"), Request{Reference: "db1", Release: DigestOf(nil), Parameters: params("size", "12"), Filter: map[string]string{"country": "FR"}})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCopy(b *testing.B) {
	w := busy(b, 10, 1000)
	for b.Loop() {
		w.Copy()
	}
}
