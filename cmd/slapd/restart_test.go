package main_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
)

// A mesh of which every peer is killed comes back with all that was
// acknowledged, also when its peers have moved meanwhile.
func TestMeshIsKilledAndRunsAgain(t *testing.T) {
	t.Parallel()
	downloaded(t, "memcached")
	w := newWorld(t, newNetwork(t))
	peers := w.mesh("20", "a", "b", "c")
	a, b, c := peers[0], peers[1], peers[2]
	cache := b.request(protocol.RequestInput{Reference: "cache", Release: "memcached", Filter: map[string]string{"computer": "c"}})
	var want []uint64
	for n := range 20 {
		i, err := peers[n%3].stopped(n)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, i.ID)
	}
	token := a.token(protocol.TokenInput{Role: protocol.RoleComputer})
	for _, p := range peers {
		p.kill()
	}
	if _, err := w.net.talk(hostOf(t, cache), "END", "get nothing"); err != nil {
		t.Errorf("the cache does not answer without daemons: %v", err)
	}

	// Two are where they were, the third is elsewhere; then all move but one.
	for _, moved := range [][]bool{{false, false, true}, {true, true, false}} {
		for n, p := range []*peer{a, b, c} {
			listen := p.status.Listen
			if moved[n] {
				listen = "127.0.0.1:0"
			}
			peers[n] = w.start(p.name, "run", "--listen", listen)
		}
		for _, p := range peers {
			p.up().sees(3)
			w.until(p.name+" knows what was acknowledged", func() error { return p.knows(want, cache) })
		}
		for n := range want {
			if again, err := peers[(n+1)%3].stopped(n); err != nil || again.ID != want[n] {
				t.Errorf("r%d: %v: instance %d, was %d", n, err, again.ID, want[n])
			}
		}
		a, b, c = peers[0], peers[1], peers[2]
		if moved[2] {
			for _, p := range peers {
				p.kill()
			}
		}
	}
	w.start("d", "join", b.status.Listen, "--token", token).up().sees(4)
	a.set("cache", protocol.RequestDestroyed)
}

// knows says what the peer does not know of the instances r0, r1… and cache.
func (p *peer) knows(want []uint64, cache protocol.Instance) error {
	list, err := p.Instances(p.w.Context(), protocol.InstanceQuery{})
	if err != nil {
		return err
	}
	for n, id := range want {
		reference := fmt.Sprintf("r%d", n)
		at := slices.IndexFunc(list, func(i protocol.Instance) bool { return i.Reference == reference })
		if at < 0 || list[at].ID != id {
			return fmt.Errorf("%s is not known", reference)
		}
	}
	i, err := p.Instance(p.w.Context(), protocol.Ref{Reference: "cache"})
	if err == nil && (i.ID != cache.ID || i.State != protocol.StateStarted || i.Connection["url"] != cache.Connection["url"]) {
		err = fmt.Errorf("cache is %+v", i)
	}
	return err
}
