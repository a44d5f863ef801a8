package ledger

import (
	"fmt"
	"testing"

	"github.com/slapmesh/slapmesh/ledger/book"
	"github.com/slapmesh/slapmesh/ledger/placement"
)

// market returns a mesh of 10,000 computers in 300 sites, of 500 owners with
// prices of their own, some of which are to change.
func market(tb testing.TB) *world {
	tb.Helper()
	w := given(tb, "system found home ann p0\np0 publish web 1\n")
	for n := range 500 {
		owner := AccountName(fmt.Sprint("owner", n))
		w.Evolve(AccountOpened{Account{Name: owner, Created: noon}})
		rates := book.Rates{Partition: book.Rate(1e8 + n*7919%300*1e6), Core: book.Rate(5e7 + n*31%100*1e6), Memory: book.Rate(1e7 + n*17%20*1e6)}
		w.mustAsk(AsAccount(owner), SetPrice{Rates: rates})
	}
	for n := range 10_000 {
		id := PeerID(fmt.Sprintf("p%05d", n))
		w.Evolve(Admitted{Peer: Peer{ID: id, Name: string(id), PublicKey: []byte{1}, Account: AccountName(fmt.Sprint("owner", n%500)), Role: RoleComputer, Admitted: noon}})
		labels := map[string]string{"country": fmt.Sprint("k", n%50), "site": fmt.Sprint("s", n%300), "hardware": fmt.Sprint(n % 3)}
		w.mustAsk(AsPeer(id), Offer{Partitions: 100, Labels: labels, Arch: "amd64", Grade: "sandbox", Cores: 16_000, Memory: 64 << 30, Disk: 1 << 40})
	}
	return w
}

// BenchmarkPlace is a whole decision with a filter over 10,000 computers; its
// instance is not recorded.
func BenchmarkPlace(b *testing.B) {
	w := market(b)
	for _, policy := range []placement.Policy{"default", "pack", "spread", "cheapest"} {
		b.Run(string(policy), func(b *testing.B) {
			c := Request{
				Reference: "x", Release: DigestOf(profileOf("web", "1")), Policy: policy, MaxPrice: 1e6,
				Needs: Needs{2000, 4 << 30, 10 << 30, 0}, Where: "country in [k7, k9] and hardware = 1 and cores >= 4",
			}
			for b.Loop() {
				if _, err := w.Decide(c, Context{w.at, AsPeer("p0")}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReprice is a price of an owner with 20 of them, in force at once.
func BenchmarkReprice(b *testing.B) {
	w := market(b)
	n := 0
	for b.Loop() {
		n++
		w.mustAsk(AsAccount("owner7"), SetPrice{Rates: book.Rates{Partition: book.Rate(1e8 + n%1000*1e6)}})
	}
}
