package placement_test

import (
	"fmt"
	"testing"

	"github.com/slapmesh/slapmesh/ledger/placement"
)

// BenchmarkPut is what a decision pays for keeping 10,000 computers sorted,
// with a copy (a view) taken after each change.
func BenchmarkPut(b *testing.B) {
	x, fleet := placement.New(), make([]placement.Candidate, 10_000)
	for n := range fleet {
		fleet[n] = placement.Candidate{
			ID: fmt.Sprintf("c%05d", n), Owner: "ann", Free: 1 + n%100, Grade: "sandbox", Arch: "amd64",
			Labels: map[string]string{"country": fmt.Sprint(n % 50), "hardware": fmt.Sprint(n % 3)},
		}
		x.Put(fleet[n])
	}
	n := 0
	for b.Loop() {
		c := &fleet[n*7919%len(fleet)]
		c.Free = 1 + (c.Free+n)%100
		x.Put(*c)
		_ = x.Copy()
		n++
	}
}
