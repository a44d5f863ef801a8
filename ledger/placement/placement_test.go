package placement_test

import (
	"fmt"
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
