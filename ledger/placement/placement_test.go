package placement_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/slapmesh/slapmesh/ledger/placement"
)

func Example() {
	x := placement.New()
	x.Put(placement.Candidate{ID: "c1", Name: "attic", Owner: "ann", Free: 0, Labels: map[string]string{"country": "FR"}})
	x.Put(placement.Candidate{ID: "c2", Name: "cellar", Owner: "ann", Free: 3, Labels: map[string]string{"country": "FR"}})
	x.Put(placement.Candidate{ID: "c3", Name: "office", Owner: "bob", Free: 9, Labels: map[string]string{"country": "DE"}})
	x.SetBuilt("c2", "sha256:web", true)

	fmt.Println(x.Choose(placement.Want{Reference: "db1", Account: "ann", Release: "sha256:db"}))
	fmt.Println(x.Choose(placement.Want{Reference: "www", Account: "ann", Release: "sha256:web"}))
	fmt.Println(x.Choose(placement.Want{Reference: "db1", Account: "ann", Filter: map[string]string{"country": "FR", "computer": "attic"}}))
	// Output:
	// c3 <nil>
	// c2 <nil>
	//  no partition for db1: 3 computers: 2 wrong computer (wants attic), 1 full
}

// slow chooses as the package documents, by looking at every candidate.
func slow(all map[string]placement.Candidate, built map[string]bool, w placement.Want) (best string) {
	better := func(a, b placement.Candidate) bool {
		if built[a.ID] != built[b.ID] {
			return built[a.ID]
		}
		if a.Free != b.Free {
			return a.Free > b.Free
		}
		return a.ID < b.ID
	}
	for id, c := range all {
		fits := c.Free > 0 && !c.Closed && !c.Silent && (c.Owner == w.Account || !c.Only && (!w.Strangers || !c.Weak || c.Public))
		for k, v := range w.Filter {
			switch k {
			case "grade":
				fits = fits && c.Grade == v
			case "computer":
				fits = fits && (c.ID == v || c.Name == v)
			default:
				fits = fits && c.Labels[k] == v
			}
		}
		if fits && (best == "" || better(c, all[best])) {
			best = id
		}
	}
	return best
}

// TestChooseIsTheBest compares the index with a scan under random changes,
// and makes sure that copies do not change.
func TestChooseIsTheBest(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 3))
		x, all, built := placement.New(), map[string]placement.Candidate{}, map[string]bool{}
		pick := func(s ...string) string { return s[r.IntN(len(s))] }
		for step := range 500 {
			id := fmt.Sprint("c", r.IntN(12))
			switch r.IntN(8) {
			case 0:
				x.Delete(id)
				delete(all, id)
			case 1:
				built[id] = !built[id]
				x.SetBuilt(id, "web", built[id])
			default:
				c := placement.Candidate{
					ID: id, Name: pick("n1", "n2", id), Owner: pick("ann", "bob"), Free: r.IntN(4), Grade: pick("plain", "sandbox"),
					Labels: map[string]string{"country": pick("FR", "DE"), "site": pick("a", "b", "c")},
					Public: r.IntN(3) == 0, Weak: r.IntN(3) == 0, Only: r.IntN(4) == 0, Closed: r.IntN(8) == 0, Silent: r.IntN(8) == 0,
				}
				x.Put(c)
				all[id] = c
			}
			w := placement.Want{Reference: "x", Account: pick("ann", "bob"), Release: "web", Strangers: r.IntN(2) == 0, Filter: map[string]string{}}
			for _, k := range []string{"country", "site", "grade", "computer"} {
				if r.IntN(3) == 0 {
					w.Filter[k] = pick("FR", "DE", "a", "b", "plain", "n1", "c3")
				}
			}
			before := x.Copy()
			x.Put(placement.Candidate{ID: "other", Free: 99, Grade: "plain"})
			got, err := before.Choose(w)
			x.Delete("other")
			if want := slow(all, built, w); got != want || (err == nil) != (want != "") {
				t.Fatalf("seed %d step %d: chose %q (%v), want %q", seed, step, got, err, want)
			}
			if err != nil {
				checkRefusal(t, err, len(all))
			}
		}
	}
}

func checkRefusal(t *testing.T, err error, computers int) {
	t.Helper()
	r, ok := err.(*placement.Refusal) //nolint:errorlint // nothing wraps it
	if !ok {
		t.Fatalf("%T", err)
	}
	sum := 0
	for _, reason := range r.Reasons {
		sum += reason.Count
	}
	if sum != computers || r.Computers != computers || !slices.IsSortedFunc(r.Reasons, func(a, b placement.Reason) int { return b.Count - a.Count }) {
		t.Fatalf("%v: %d computers are there", err, computers)
	}
}

func ExampleIndex_Quote() {
	x := placement.New()
	for n, price := range []int64{40, 25, 31, 31} {
		x.Put(placement.Candidate{
			ID: fmt.Sprint("c", n), Name: fmt.Sprint("computer", n), Owner: "ann", Free: n, Labels: map[string]string{"country": "FR"},
			Capacity: placement.Resources{Memory: int64(4*n+1) << 30}, Rates: placement.Rates{Partition: 1e6, Memory: price * 1e6},
		})
	}
	w := placement.Want{Reference: "db1", Account: "bob", Policy: placement.Cheapest, Needs: placement.Resources{Memory: 2 << 30}}
	fmt.Println(x.Quote(w))
	w.Needs.Memory, w.MaxPrice = 8<<30, 100
	fmt.Println(x.Quote(w))
	// Output:
	// {db1 {c1 computer1 51} [{c3 computer3 63} {c2 computer2 63}]} <nil>
	// { {  0} []} no partition for db1: 4 computers: 2 too dear (wants at most 0.0001 credits an hour), 2 too little memory (wants 8 GiB)
}

func TestRefusalIsBounded(t *testing.T) {
	x := placement.New()
	w := placement.Want{Reference: "db1", Filter: map[string]string{}}
	labels := map[string]string{}
	for n := range 40 {
		key := fmt.Sprintf("k%02d", n)
		w.Filter[key] = "yes"
		x.Put(placement.Candidate{ID: key, Free: 1, Labels: maps.Clone(labels)})
		labels[key] = "yes"
	}
	_, err := x.Choose(w)
	r, ok := err.(*placement.Refusal) //nolint:errorlint // nothing wraps it
	if !ok || len(r.Reasons) != 16 || r.Reasons[15] != (placement.Reason{Text: "for other reasons", Count: 25}) || !r.Unmet {
		t.Fatal(err)
	}
}

func TestReasons(t *testing.T) {
	has := placement.Resources{Cores: 2000, Memory: 4 << 30, Disk: 10 << 30}
	for why, c := range map[string]placement.Candidate{
		"1 lost":                                              {Silent: true},
		"1 drained":                                           {Drained: true},
		"1 retired":                                           {Retired: true, Drained: true, Closed: true},
		"1 closed":                                            {Closed: true},
		"1 for their owners only":                             {Only: true},
		"1 not isolated enough for strangers":                 {Weak: true},
		"1 full":                                              {Capacity: has},
		"1 too few cores (wants 1.5 cores)":                   {Free: 1, Capacity: placement.Resources{Cores: 1000}},
		"1 too little memory (wants 2 GiB)":                   {Free: 1, Capacity: placement.Resources{Memory: 1 << 30}},
		"1 too little disk (wants 1025 MiB)":                  {Free: 1, Capacity: placement.Resources{Disk: 1 << 30}},
		"1 too few cores free (wants 1.5 cores)":              {Free: 1, Capacity: has, Reserved: placement.Resources{Cores: 501}},
		"1 too little memory free (wants 2 GiB)":              {Free: 1, Capacity: has, Reserved: placement.Resources{Memory: 2<<30 + 1}},
		"1 too little disk free (wants 1025 MiB)":             {Free: 1, Capacity: has, Reserved: placement.Resources{Disk: 99 << 30}},
		"1 too dear (wants at most 0.000007 credits an hour)": {Free: 1, Capacity: has, Rates: placement.Rates{Core: 5e6}},
		"1 not apart enough":                                  {Free: 1, Capacity: has, Host: "h"},
		"1 not near enough":                                   {Free: 1, Capacity: has, Labels: map[string]string{"site": "z"}},
		"1 where the filter divides by zero":                  {Free: 1, Capacity: has, Labels: map[string]string{"n": "0"}},
		"1 where the filter overflows":                        {Free: 1, Capacity: has, Labels: map[string]string{"n": "8388607TiB"}},
		"1 wrong n (wants > 0)":                               {Free: 1, Capacity: has, Labels: map[string]string{"n": "-1"}},
	} {
		e, err := placement.ParseFilter(`(not has n or 5 * n / n = 5 and n + n / n != 7 or n < 0) and (not has n or n > -9) and n > 0`)
		if err != nil {
			t.Fatal(err)
		}
		x := placement.New()
		c.ID, c.Owner = "c", "ann"
		if c.Labels["n"] == "" {
			c.Labels = maps.Clone(c.Labels)
			if c.Labels == nil {
				c.Labels = map[string]string{}
			}
			c.Labels["n"] = "1"
		}
		x.Put(c)
		w := placement.Want{
			Reference: "db1", Account: "bob", Strangers: true, Expr: e, MaxPrice: 7, NotHosts: []string{"h"}, OnlySites: []string{"computer c", "host h"},
			Needs: placement.Resources{Cores: 1500, Memory: 2 << 30, Disk: 1025 << 20},
		}
		if _, err := x.Choose(w); err == nil || err.Error() != "no partition for db1: 1 computer: "+why {
			t.Errorf("%v\n\twant %s", err, why)
		}
	}
}

func TestPriceSaturates(t *testing.T) {
	const most = math.MaxInt64
	for _, c := range []struct {
		rates placement.Rates
		needs placement.Resources
		price int64
	}{
		{placement.Rates{Partition: 3e6, Core: 10e6}, placement.Resources{Cores: 1}, 4},
		{placement.Rates{Partition: -3e6, Core: -10e6}, placement.Resources{Cores: 1000}, 0},
		{placement.Rates{Core: most}, placement.Resources{Cores: 1000}, most/1_000_000 + 1},
		{placement.Rates{Core: most}, placement.Resources{Cores: most}, most},
		{placement.Rates{Partition: most, Disk: most}, placement.Resources{Disk: most}, most},
	} {
		candidate := placement.Candidate{Rates: c.rates}
		if got := candidate.Price(&placement.Want{Needs: c.needs}); got != c.price {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
