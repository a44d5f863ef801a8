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

// kinds are the two ways in which a table is kept.
var kinds = map[string]func() table.Table[int, int]{
	"sorted": func() table.Table[int, int] { return table.New[int, int](cmp.Compare[int]) },
	"dense": func() table.Table[int, int] {
		return table.NewDense[int, int](func(k int) uint64 { return uint64(k) }, func(n uint64) int { return int(n) })
	},
}

// TestTableIsAMap compares tables with a map under random changes, and the
// copies that were taken with what they were taken of.
func TestTableIsAMap(t *testing.T) {
	for name, make := range kinds {
		for seed := range uint64(20) {
			r := rand.New(rand.NewPCG(seed, 1))
			tab, want := make(), map[int]int{}
			type copied struct {
				table table.Table[int, int]
				want  map[int]int
			}
			var copies []copied
			for step := range 3000 {
				k := r.IntN(300)
				if r.IntN(50) == 0 {
					k = 1 << r.IntN(63)
				}
				switch r.IntN(6) {
				case 0, 1:
					old, ok := tab.Delete(k)
					if was, had := want[k]; ok != had || old != was {
						t.Fatalf("%s seed %d step %d: deleted %d, %v, want %d, %v", name, seed, step, old, ok, was, had)
					}
					delete(want, k)
				case 2:
					put := tab.Load
					old, ok := put(k, step)
					if was, had := want[k]; ok != had || old != was {
						t.Fatalf("%s seed %d step %d: loaded over %d, %v, want %d, %v", name, seed, step, old, ok, was, had)
					}
					want[k] = step
				default:
					old, ok := tab.Set(k, step)
					if was, had := want[k]; ok != had || old != was {
						t.Fatalf("%s seed %d step %d: replaced %d, %v, want %d, %v", name, seed, step, old, ok, was, had)
					}
					want[k] = step
				}
				if got, ok := tab.Get(k + 1); ok != in(want, k+1) || got != want[k+1] {
					t.Fatalf("%s seed %d step %d: got %d, %v", name, seed, step, got, ok)
				}
				if r.IntN(100) == 0 {
					copies = append(copies, copied{tab.Copy(), maps.Clone(want)})
				}
			}
			for n, c := range append(copies, copied{tab, want}) {
				keys := slices.Sorted(maps.Keys(c.want))
				var got, down []int
				for k, v := range c.table.All() {
					if got = append(got, k); v != c.want[k] {
						t.Fatalf("%s seed %d: copy %d holds %d at %d, want %d", name, seed, n, v, k, c.want[k])
					}
				}
				for k := range c.table.Down() {
					down = append(down, k)
				}
				slices.Reverse(down)
				if !slices.Equal(got, keys) || !slices.Equal(down, keys) || c.table.Len() != len(keys) {
					t.Fatalf("%s seed %d: copy %d has %v, down %v, want %v", name, seed, n, got, down, keys)
				}
				from := r.IntN(400)
				got = got[:0]
				for k := range c.table.From(from) {
					got = append(got, k)
				}
				first, _ := slices.BinarySearch(keys, from)
				if !slices.Equal(got, keys[first:]) {
					t.Fatalf("%s seed %d: copy %d has %v from %d on, want %v", name, seed, n, got, from, keys[first:])
				}
			}
		}
	}
}

func in(m map[int]int, k int) bool {
	_, ok := m[k]
	return ok
}

func TestOrder(t *testing.T) {
	for name, make := range kinds {
		tab := make()
		if _, _, ok := tab.Min(); ok {
			t.Errorf("%s: an empty table has a first row", name)
		}
		for _, k := range []int{5, 1, 4, 2, 3} {
			tab.Set(k, 10*k)
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
			t.Error(name, got)
		}
		if k, row, ok := tab.Min(); k != 1 || row != 10 || !ok {
			t.Error(name, k, row, ok)
		}
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
