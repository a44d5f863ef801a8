package path_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh/path"
)

func TestPlan(t *testing.T) {
	for _, tc := range []struct {
		name  string
		given path.Target
		then  string
	}{
		{"nothing known", path.Target{}, "[]"},
		{"addresses only", path.Target{Addresses: 2}, "[{direct 0s}]"},
		{"relays wait for addresses", path.Target{Addresses: 1, Relays: 1}, "[{direct 0s} {relayed 400ms}]"},
		{"hidden behind relays", path.Target{Addresses: 1, Relays: 1, Hidden: true}, "[{direct 0s} {relayed 0s}]"},
		{"no address", path.Target{Relays: 1}, "[{relayed 0s}]"},
		{"TCP comes last", path.Target{Addresses: 1, Relays: 1, TCP: true, UDP: true}, "[{direct 0s} {relayed 400ms} {tcp 1s}]"},
		{"TCP where UDP is silent", path.Target{Addresses: 1, TCP: true}, "[{direct 0s} {tcp 400ms}]"},
		{"TCP to no address", path.Target{TCP: true}, "[]"},
	} {
		if got := fmt.Sprint(path.Plan(tc.given)); got != tc.then {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.then)
		}
	}
}

func TestBest(t *testing.T) {
	const now, long = 0, time.Minute
	for _, tc := range []struct {
		name    string
		ways    []path.Way
		present int
		want    int
	}{
		{"none", nil, -1, -1},
		{"the only one", []path.Way{{path.Relayed, long}}, -1, 0},
		{"punched over tcp over relayed", []path.Way{{path.Relayed, now}, {path.Punched, long}, {path.TCP, now}}, 0, 1},
		{"stays with equals", []path.Way{{path.Relayed, time.Second}, {path.Relayed, now}}, 0, 0},
		{"stays with equals, listed later", []path.Way{{path.Relayed, now}, {path.Relayed, time.Second}}, 1, 1},
		{"leaves the silent one", []path.Way{{path.Relayed, long}, {path.Relayed, now}}, 0, 1},
		{"leaves the silent one, listed later", []path.Way{{path.Relayed, now}, {path.Relayed, long}}, 1, 0},
		{"stays when all are silent", []path.Way{{path.Relayed, long}, {path.Relayed, long}}, 1, 1},
		{"begins with who spoke last", []path.Way{{path.Relayed, long}, {path.Relayed, now}}, -1, 1},
	} {
		if got := path.Best(tc.ways, tc.present); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

// Peers hold on to what they have, choose the same again, and spread over the
// relays.
func TestAnchors(t *testing.T) {
	relays := []string{"r1", "r2", "r3", "r4", "r5"}
	load := map[string]int{}
	for i := range 1000 {
		self := fmt.Sprintf("peer %d", i)
		chosen := path.Anchors(self, nil, relays, 2)
		if len(chosen) != 2 || chosen[0] == chosen[1] {
			t.Fatalf("%s: %v", self, chosen)
		}
		for _, r := range chosen {
			load[r]++
		}
		shuffled := slices.Clone(relays)
		slices.Reverse(shuffled)
		if again := path.Anchors(self, nil, shuffled, 2); !slices.Equal(again, chosen) {
			t.Errorf("%s: %v, then %v", self, chosen, again)
		}
		if kept := path.Anchors(self, chosen[1:], relays, 2); !slices.Contains(kept, chosen[1]) || len(kept) != 2 {
			t.Errorf("%s: held %v, chose %v", self, chosen[1:], kept)
		}
	}
	for r, n := range load {
		if n < 250 || n > 550 {
			t.Errorf("%s is held by %d of 1000", r, n)
		}
	}
	if few := path.Anchors("me", nil, relays[:1], 2); len(few) != 1 {
		t.Errorf("of one: %v", few)
	}
}
