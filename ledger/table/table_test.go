package table_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/slapmesh/slapmesh/ledger/table"
)

// TestTableIsAMap compares a table with a map under random changes, and the
// copies that were taken with what they were taken of.
func TestTableIsAMap(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		tab, want := table.New[int, int](cmp.Compare[int]), map[int]int{}
		type copied struct {
			table table.Table[int, int]
			want  map[int]int
		}
		var copies []copied
		for step := range 3000 {
			k := r.IntN(300)
			if r.IntN(3) == 0 {
				old, ok := tab.Delete(k)
				if was, had := want[k]; ok != had || old != was {
					t.Fatalf("seed %d step %d: deleted %d, %v, want %d, %v", seed, step, old, ok, was, had)
				}
				delete(want, k)
			} else {
				old, ok := tab.Set(k, step)
				if was, had := want[k]; ok != had || old != was {
					t.Fatalf("seed %d step %d: replaced %d, %v, want %d, %v", seed, step, old, ok, was, had)
				}
				want[k] = step
			}
			if r.IntN(100) == 0 {
				copies = append(copies, copied{tab.Copy(), maps.Clone(want)})
			}
		}
		for n, c := range append(copies, copied{tab, want}) {
			if got := maps.Collect(c.table.All()); !maps.Equal(got, c.want) || c.table.Len() != len(c.want) {
				t.Fatalf("seed %d: copy %d has %d rows (%d), want %d", seed, n, len(got), c.table.Len(), len(c.want))
			}
		}
	}
}

func TestOrder(t *testing.T) {
	tab := table.New[int, string](cmp.Compare[int])
	for _, k := range []int{5, 1, 4, 2, 3} {
		tab.Set(k, fmt.Sprint(k))
	}
	var all, from, down []int
	for k := range tab.All() {
		all = append(all, k)
	}
	for k := range tab.From(3) {
		from = append(from, k)
	}
	for k := range tab.Down() {
		if down = append(down, k); k == 3 {
			break
		}
	}
	if got := fmt.Sprint(all, from, down); got != "[1 2 3 4 5] [3 4 5] [5 4 3]" {
		t.Error(got)
	}
	if k, row, ok := tab.Min(); k != 1 || row != "1" || !ok {
		t.Error(k, row, ok)
	}
}

func TestIndex(t *testing.T) {
	x := table.NewIndex(cmp.Compare[string], cmp.Compare[int])
	for n := range 6 {
		x.Add([]string{"odd", "even"}[n%2], n)
	}
	before := x.Copy()
	x.Remove("even", 3)
	x.Remove("even", 99)
	if got := slices.Collect(x.Keys("even")); fmt.Sprint(got) != "[1 5]" {
		t.Error(got)
	}
	if got := slices.Collect(before.Keys("even")); fmt.Sprint(got) != "[1 3 5]" {
		t.Error(got)
	}
	if k, ok := x.First("odd"); k != 0 || !ok {
		t.Error(k, ok)
	}
	if _, ok := x.First("none"); ok || x.Len() != 5 {
		t.Error(ok, x.Len())
	}
}

func ExampleTable() {
	ages := table.New[string, int](cmp.Compare[string])
	ages.Set("cem", 41)
	ages.Set("ann", 52)
	before := ages.Copy()
	ages.Set("bob", 33)
	for name, age := range ages.All() {
		fmt.Println(name, age)
	}
	fmt.Println(before.Len(), "before")
	// Output:
	// ann 52
	// bob 33
	// cem 41
	// 2 before
}
