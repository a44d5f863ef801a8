package mesh_test

import (
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
)

// Mostly homes: of 30 peers three can be reached, the others are behind
// translators that let nobody in. One packet in a hundred is lost, and they
// take 20 to 150 ms. All see all, nobody is ever missed who is there, and who
// is gone is known to be within 10 s. HOMES_MINUTES is how long it goes on;
// 30 take half a minute on two cores.
func TestMostlyHomes(t *testing.T) {
	minutes, err := strconv.Atoi(os.Getenv("HOMES_MINUTES"))
	if err != nil {
		minutes = 4
	}
	seed, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
	if err != nil {
		seed = 1
	}
	inBubble(t, func(w *world) {
		w.t.Logf("SEED=%d", seed)
		random := mathrand.New(mathrand.NewPCG(seed, 1))
		losses := mathrand.New(mathrand.NewPCG(seed, 2)) // drawn from under the router's lock
		w.cut.lost = func() bool { return losses.IntN(100) == 0 }
		w.delay = func() time.Duration { return time.Duration(10+random.IntN(65)) * time.Millisecond }
		peers := w.homes(3, 27)
		time.Sleep(3 * time.Minute) // homes find out that they are
		for _, p := range peers {
			for _, m := range p.Members() {
				if m.State != mesh.StateAlive {
					w.t.Errorf("%s, %s: %s is %s", p.config.Name, p.Place(), m.Name, m.State)
				}
			}
		}
		pool, attached := places(peers)
		w.t.Logf("%d gossip, %d are attached", len(pool), len(attached))
		if len(pool) > 3 || len(attached) < 27 {
			w.t.Error("not only those gossip that can be reached")
		}
		missed := w.watchAll(peers)
		gone := map[string]bool{}
		worst := time.Duration(0)
		for minute := range minutes {
			time.Sleep(55 * time.Second)
			if minute%2 == 0 || len(peers) < 20 {
				continue
			}
			i := 3 + random.IntN(len(peers)-3)
			dead := peers[i]
			gone[dead.config.Name] = true
			dead.Silence()
			peers = without(peers, dead)
			began := time.Now()
			for _, p := range peers {
				p.until(w.tb, dead.config.Name+" gone", func([]mesh.Member) bool { return p.state(dead.Self()) == mesh.StateFailed })
			}
			worst = max(worst, time.Since(began))
			dead.stop()
		}
		if worst > 10*time.Second {
			w.t.Errorf("a departure was known to all after %v", worst)
		}
		w.t.Logf("%d departures were known to all within %v", len(gone), worst)
		for _, name := range missed() {
			if !gone[name] && name != "" {
				w.t.Errorf("%s was missed", name)
			}
		}
		for _, p := range peers {
			if n := alive(p.Members()); n != len(peers) {
				w.t.Errorf("%s sees %d of %d", p.config.Name, n, len(peers))
			}
		}
		for _, p := range []*peer{peers[0], peers[len(peers)-1]} {
			w.t.Logf("%s: %+v", p.config.Name, p.Stats())
		}
	})
}

// homes opens a mesh of some peers that can be reached and others that cannot.
func (w *world) homes(open, hidden int) []*peer {
	var peers []*peer
	for range open {
		p := w.public()
		if len(peers) > 0 {
			p.AddSeeds(peers[0].Seeds())
		}
		peers = append(peers, p)
	}
	for i := range hidden {
		kind := []string{symmetric, portRestricted}[i%2]
		p := w.behind(w.cut.boxes.newBox(kind, fmt.Sprintf("198.51.100.%d", i+1), nil))
		p.AddSeeds(peers[i%open].Seeds())
		peers = append(peers, p)
	}
	return peers
}
