package tiers_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/slapmesh/slapmesh/mesh/tiers"
)

func TestPoolSize(t *testing.T) {
	for n, want := range map[int]int{1: 32, 32: 32, 300: 32, 512: 32, 1000: 45, 5000: 100, 8000: 127} {
		if got := tiers.PoolSize(n, 32); got != want {
			t.Errorf("of %d: %d, want %d", n, got, want)
		}
	}
}

func TestJudge(t *testing.T) {
	asked := tiers.Scene{Pooled: true, Pool: 32, Open: 32, Want: 32}
	for name, tc := range map[string]struct {
		given func(*tiers.Scene)
		want  tiers.Verdict
	}{
		"a full pool":                                {func(*tiers.Scene) {}, tiers.Held},
		"a place is free":                            {func(s *tiers.Scene) { s.Pool = 31 }, tiers.InPool},
		"a place is free, for another one":           {func(s *tiers.Scene) { s.Pool, s.Ahead = 31, 1 }, tiers.Held},
		"hidden, a place is free":                    {func(s *tiers.Scene) { s.Pool, s.AskerHidden = 3, true }, tiers.Held},
		"hidden, asks one that is hidden":            {func(s *tiers.Scene) { s.Hidden, s.AskerHidden = true, true }, tiers.Elsewhere},
		"hidden, nobody is not":                      {func(s *tiers.Scene) { s.Pool, s.Open, s.Hidden, s.AskerHidden = 2, 0, true, true }, tiers.InPool},
		"the one asked is attached itself":           {func(s *tiers.Scene) { s.Pooled = false }, tiers.Elsewhere},
		"the one asked holds as many as it may":      {func(s *tiers.Scene) { s.Full = true }, tiers.Elsewhere},
		"it may gossip though the one asked is full": {func(s *tiers.Scene) { s.Full, s.Pool = true, 9 }, tiers.InPool},
	} {
		s := asked
		tc.given(&s)
		if got := tiers.Judge(s); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

func TestSurplus(t *testing.T) {
	for name, tc := range map[string]struct {
		hidden     bool
		open, rank int
		want       bool
	}{
		"one of few":            {false, 32, 31, false},
		"one of a few too many": {false, 40, 40, false},
		"one of far too many":   {false, 60, 48, true},
		"hidden":                {true, 3, 0, true},
		"hidden, as all are":    {true, 0, 0, false},
	} {
		if got := tiers.Surplus(tc.hidden, tc.open, tc.rank, 32); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Those who hold others are chosen evenly, and each peer chooses the same
// again.
func TestOrder(t *testing.T) {
	var candidates []string
	for i := range 32 {
		candidates = append(candidates, fmt.Sprintf("holder-%d", i))
	}
	count := map[string]int{}
	for i := range 1000 {
		self := fmt.Sprintf("peer-%d", i)
		first := tiers.Order(self, candidates)
		slices.Reverse(candidates)
		if !slices.Equal(first, tiers.Order(self, candidates)) {
			t.Fatalf("%s chooses otherwise", self)
		}
		count[first[0]]++
		count[first[1]]++
	}
	for id, n := range count { // 62.5 on average
		if n < 35 || n > 95 {
			t.Errorf("%s is chosen %d times", id, n)
		}
	}
}
