package mesh_test

import (
	mathrand "math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
)

// startTiers opens n members of a mesh in which only a few gossip.
func (w *world) startTiers(n, pool int) []*peer {
	w.tb.Helper()
	var peers []*peer
	for i := range n {
		c := w.config()
		c.Profile.Pool = pool
		p := w.open(c)
		if i > 0 {
			p.AddSeeds(peers[i/2].Seeds()) // of any tier
			p.untilAlive(w.tb, i+1)
		}
		peers = append(peers, p)
	}
	for _, p := range peers {
		p.untilAlive(w.tb, n)
	}
	return peers
}

// places sorts peers by where they are.
func places(peers []*peer) (pool, attached []*peer) {
	for _, p := range peers {
		if p.Stats().Attached {
			attached = append(attached, p)
		} else {
			pool = append(pool, p)
		}
	}
	return pool, attached
}

// In a large mesh a few gossip, the others are attached to two of them, and
// all see all; also when one of them dies, leaves, moves or comes back.
func TestTiers(t *testing.T) {
	inBubble(t, func(w *world) {
		peers := w.startTiers(14, 4)
		time.Sleep(time.Minute)
		pool, attached := places(peers)
		if len(pool) < 6 || len(pool) > 8 { // about the root of 28; two may see a place at once
			w.t.Errorf("%d gossip", len(pool))
		}
		for _, p := range attached {
			if s := p.Stats(); s.Holders != 2 || s.Connections > 4 || s.Pool != len(pool) {
				w.t.Errorf("%s: %+v", p.config.Name, s)
			}
		}
		for _, p := range peers {
			p.untilAlive(w.tb, 14)
		}

		// One that is attached dies, comes back, and leaves.
		gone := attached[0]
		others := without(peers, gone)
		gone.Silence()
		for _, p := range others {
			if took := p.untilAlive(w.tb, 13); took > 10*time.Second {
				w.t.Errorf("%s knows after %v", p.config.Name, took)
			}
			if s := p.state(gone.Self()); s != mesh.StateFailed {
				w.t.Errorf("%s: %s", p.config.Name, s)
			}
		}
		gone.stop()
		c := gone.config
		c.Socket = w.socket()
		back := w.open(c)
		back.AddSeeds(attached[1].Seeds())
		back.untilAlive(w.tb, 14)
		for _, p := range others {
			p.untilAlive(w.tb, 14)
		}
		if err := back.Leave(w.t.Context()); err != nil {
			w.t.Error(err)
		}
		for _, p := range others {
			p.untilAlive(w.tb, 13)
			if s := p.state(gone.Self()); s != mesh.StateLeft {
				w.t.Errorf("%s: %s", p.config.Name, s)
			}
		}
		back.stop()

		// One of the pool dies: nobody whom it held is missed, and one of them
		// takes its place.
		dead := pool[1]
		others = without(others, dead)
		dead.Silence()
		missed := w.watchAll(others)
		for _, p := range others {
			if took := p.untilAlive(w.tb, 12); took > 12*time.Second {
				w.t.Errorf("%s knows after %v", p.config.Name, took)
			}
		}
		time.Sleep(time.Minute)
		for _, m := range missed() {
			if m != dead.config.Name && m != gone.config.Name {
				w.t.Errorf("%s was missed", m)
			}
		}
		if pool, _ := places(others); len(pool) < 5 || len(pool) > 8 { // about the root of 24
			w.t.Errorf("%d gossip", len(pool))
		}
	})
}

func without(peers []*peer, one *peer) []*peer {
	var out []*peer
	for _, p := range peers {
		if p != one {
			out = append(out, p)
		}
	}
	return out
}

// watchAll notes who is ever seen to be gone by any of the peers, until the
// function that it returns is called.
func (w *world) watchAll(peers []*peer) func() []string {
	stop, done := make(chan struct{}), make(chan map[string]bool)
	for _, p := range peers {
		go func() {
			missed, changed := map[string]bool{}, p.Watch()
			for {
				for _, m := range p.Members() {
					if m.State == mesh.StateFailed || m.State == mesh.StateLeft {
						missed[m.Name] = true
					}
				}
				select {
				case <-changed:
				case <-stop:
					done <- missed
					return
				}
			}
		}()
	}
	return func() []string {
		close(stop)
		all := map[string]bool{}
		for range peers {
			for name := range <-done {
				all[name] = true
			}
		}
		var out []string
		for name := range all {
			out = append(out, name)
		}
		return out
	}
}

// Whatever happens to whom: when it is over, all see the same.
func TestTiersChurn(t *testing.T) {
	for seed := range int64(1) {
		if s, err := strconv.ParseInt(os.Getenv("SEED"), 10, 64); err == nil {
			seed = s
		}
		inBubble(t, func(w *world) {
			w.t.Logf("SEED=%d", seed)
			random := mathrand.New(mathrand.NewPCG(uint64(seed), 1))
			peers := w.startTiers(24, 4)
			for range 12 {
				i := random.IntN(len(peers))
				p := peers[i]
				switch random.IntN(4) {
				case 0: // killed, and started again: soon, or when it is missed
					p.Silence()
					p.stop()
					time.Sleep(time.Duration(random.IntN(20000)) * time.Millisecond)
					c := p.config
					c.Socket = w.socket()
					peers[i] = w.open(c)
					peers[i].AddSeeds(peers[(i+1)%len(peers)].Seeds())
				case 1: // stopped in order, and started again
					p.stop()
					c := p.config
					c.Socket = w.socket()
					peers[i] = w.open(c)
					peers[i].AddSeeds(peers[(i+1)%len(peers)].Seeds())
				case 2: // cut off for a while
					w.cut.move(p.Addr(), 1)
					time.Sleep(time.Duration(random.IntN(30000)) * time.Millisecond)
					w.cut.move(p.Addr(), 0)
				}
				time.Sleep(time.Duration(random.IntN(5000)) * time.Millisecond)
			}
			time.Sleep(2 * time.Minute) // who could not be reached is doubted for a while
			for _, p := range peers {
				var missing []string
				for _, m := range p.Members() {
					if m.State != mesh.StateAlive {
						missing = append(missing, m.Name+" "+string(m.State))
					}
				}
				if n := alive(p.Members()); n != len(peers) {
					w.t.Errorf("%s sees %d of %d, not %v: %s", p.config.Name, n, len(peers), missing, p.Place())
				}
			}
			if w.t.Failed() {
				for _, p := range peers {
					w.t.Logf("%s: %s", p.config.Name, p.Place())
				}
			}
			pool, attached := places(peers)
			w.t.Logf("%d gossip, %d are attached", len(pool), len(attached))
		})
	}
}
