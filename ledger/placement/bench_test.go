package placement_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/slapmesh/slapmesh/ledger/placement"
)

// town returns 10,000 computers: 300 sites in 50 countries, where the half
// with the most partitions free has little memory free, of 500 owners with
// rates of their own.
func town() []placement.Candidate {
	r, all := rand.New(rand.NewPCG(1, 2)), make([]placement.Candidate, 10_000)
	for n := range all {
		site, owner := r.IntN(300), r.IntN(500)
		memory := int64(r.IntN(9)) << 30
		if n%2 == 0 {
			memory = 60<<30 + int64(r.IntN(4))<<30
		}
		all[n] = placement.Candidate{
			ID: fmt.Sprintf("c%05d", n), Name: fmt.Sprint("computer", n), Owner: fmt.Sprint("owner", owner),
			Free: 1 + r.IntN(50) + 50*(n%2), Used: r.IntN(50), Grade: "sandbox", Arch: []string{"amd64", "arm64"}[r.IntN(2)],
			Capacity: placement.Resources{Cores: 16_000, Memory: 64 << 30, Disk: 1 << 40},
			Reserved: placement.Resources{Cores: int64(r.IntN(16_000)), Memory: 64<<30 - memory},
			Rates:    placement.Rates{Partition: 1e6 * (100 + int64(owner*7919%300)), Core: 1e6 * (50 + int64(owner*31%100)), Memory: 1e6 * (10 + int64(owner*17%20))},
			Labels: map[string]string{
				"site": fmt.Sprint("s", site), "country": fmt.Sprint("k", site%50), "continent": fmt.Sprint("t", site%5),
				"hardware": fmt.Sprint(r.IntN(3)),
			},
		}
	}
	return all
}

func indexOf(all []placement.Candidate) placement.Index {
	x := placement.New()
	for _, c := range all {
		x.Put(c)
	}
	return x
}

func BenchmarkChoose(b *testing.B) {
	x := indexOf(town())
	needs := placement.Resources{Cores: 4000, Memory: 8 << 30}
	for _, policy := range []placement.Policy{placement.Default, placement.Pack, placement.Spread, placement.Cheapest} {
		for _, c := range []struct {
			name  string
			expr  string
			needs placement.Resources
		}{
			{name: "all"},
			{name: "needs", needs: needs},
			{name: "rare", expr: `country = k7 and hardware = 1`, needs: needs},
			{name: "common", expr: `continent = t3 and hardware in [0, 1] and cores >= 4 and not (site = s3)`, needs: needs},
			{name: "set", expr: `country in [k1, k3] and arch = arm64`, needs: needs},
			{name: "number", expr: `memory_free >= 40GiB and disk > 1GiB`, needs: needs},
		} {
			w := placement.Want{Reference: "db1", Account: "bob", Policy: policy, Needs: c.needs, Beside: []placement.Held{{"c00001", 1}, {"c00002", 1}}}
			if c.expr != "" {
				e, err := placement.ParseFilter(c.expr)
				if err != nil {
					b.Fatal(err)
				}
				w.Expr = e
			}
			b.Run(string(policy)+"/"+c.name, func(b *testing.B) {
				for b.Loop() {
					if _, err := x.Choose(w); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkLabels is a filter of two labels, as BenchmarkChoose was at
// first.
func BenchmarkLabels(b *testing.B) {
	x := indexOf(town())
	for b.Loop() {
		if _, err := x.Choose(placement.Want{Account: "bob", Filter: map[string]string{"country": "k7", "hardware": "1"}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkQuote(b *testing.B) {
	x := indexOf(town())
	for b.Loop() {
		if _, err := x.Quote(placement.Want{Account: "bob", Policy: placement.Cheapest, Needs: placement.Resources{Memory: 8 << 30}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRefusal(b *testing.B) {
	x := indexOf(town())
	for b.Loop() {
		if _, err := x.Choose(placement.Want{Account: "bob", Filter: map[string]string{"country": "nowhere"}}); err == nil {
			b.Fatal("chosen")
		}
	}
}

// BenchmarkPut is what an allocation pays for keeping 10,000 computers
// sorted, with a copy (a view) taken after each.
func BenchmarkPut(b *testing.B) {
	all := town()
	x, n := indexOf(all), 0
	for b.Loop() {
		c := &all[n*7919%len(all)]
		c.Free, c.Used = c.Free+1-n%2*2, c.Used-1+n%2*2
		x.Put(*c)
		_ = x.Copy()
		n++
	}
}
