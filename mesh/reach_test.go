package mesh_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
)

// Two peers that cannot reach each other speak through a third, see each
// other alive, and go on through a fourth when the third dies.
func TestRelayed(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		bs := &w.cut.boxes
		relays := []*peer{w.public(), w.public(), w.public()}
		a := w.behind(bs.newBox(symmetric, "198.51.100.1", nil))
		b := w.behind(bs.newBox(symmetric, "198.51.100.2", nil))
		all := append(relays, a, b)
		for _, p := range all[1:] {
			p.AddSeeds(relays[0].Seeds())
		}
		for _, p := range all {
			p.echo(mesh.KindRPC)
			p.untilAlive(t, 5)
		}
		time.Sleep(time.Minute)
		for _, p := range all {
			p.untilAlive(t, 5)
		}
		began := time.Now()
		c, err := a.Dial(t.Context(), b.Self(), mesh.KindRPC)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("dialled in %v", time.Since(began))
		word := make([]byte, 5)
		for i := range 3 {
			began := time.Now()
			if _, err := io.WriteString(c, fmt.Sprint("word", i)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, word); err != nil {
				t.Fatal(err)
			}
			via := a.member(b.Self())
			t.Logf("%s came back after %v, %s through %s", word, time.Since(began), via.Path, via.Via.Short())
			if via.Path != mesh.PathRelayed {
				t.Errorf("path is %s", via.Path)
			}
			if i == 1 {
				time.Sleep(20 * time.Second) // until both hold on to other relays
			}
			for _, r := range relays {
				if r.Self() == via.Via && i < 2 {
					r.Silence()
				}
			}
		}
		_ = c.Close()
	})
}

func (p *peer) member(id mesh.PeerID) mesh.Member {
	for _, m := range p.Members() {
		if m.ID == id {
			return m
		}
	}
	return mesh.Member{}
}

// A peer that is told to relays nothing.
func TestNoRelay(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		bs := &w.cut.boxes
		w.next++
		c := w.config()
		c.NoRelay = true
		middle := w.open(c)
		a := w.behind(bs.newBox(symmetric, "198.51.100.1", nil))
		b := w.behind(bs.newBox(symmetric, "198.51.100.2", nil))
		for _, p := range []*peer{a, b} {
			p.AddSeeds(middle.Seeds())
			p.echo(mesh.KindRPC)
		}
		a.untilAlive(t, 3)
		if _, err := a.Dial(t.Context(), b.Self(), mesh.KindRPC); err == nil || !strings.Contains(err.Error(), "deadline") && !strings.Contains(err.Error(), "timeout") {
			t.Errorf("error %v", err)
		}
	})
}

// A stream goes on when the translator of one end gets another address, and
// forgets all that it knew.
func TestNewAddress(t *testing.T) {
	for _, kind := range []string{symmetric, portRestricted} {
		t.Run(kind, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				bs := &w.cut.boxes
				relays := []*peer{w.public(), w.public()}
				home := bs.newBox(kind, "198.51.100.1", nil)
				a := w.behind(home)
				b := w.behind(bs.newBox(symmetric, "198.51.100.2", nil))
				for _, p := range []*peer{relays[1], a, b} {
					p.AddSeeds(relays[0].Seeds())
					p.echo(mesh.KindRPC)
				}
				a.untilAlive(t, 4)
				b.untilAlive(t, 4)
				time.Sleep(10 * time.Second)
				c, err := a.Dial(t.Context(), b.Self(), mesh.KindRPC)
				if err != nil {
					t.Fatal(err)
				}
				word := make([]byte, 4)
				for i := range 3 {
					began := time.Now()
					if _, err := io.WriteString(c, "word"); err != nil {
						t.Fatal(err)
					}
					if _, err := io.ReadFull(c, word); err != nil {
						t.Fatal(err)
					}
					t.Logf("came back after %v, %s", time.Since(began), a.member(b.Self()).Path)
					if d := time.Since(began); d > 10*time.Second {
						t.Errorf("round %d took %v", i, d)
					}
					if i == 1 {
						continue
					}
					w.cut.rename(home)
				}
				_ = c.Close()
			})
		})
	}
}

// Only who tried the present addresses proves by coming through a relay that
// they lead nowhere.
func TestHidden(t *testing.T) {
	for name, tc := range map[string]struct {
		tried uint64
		want  bool
	}{
		"tried nothing":               {0, false},
		"tried where it was before":   {6, false},
		"tried where it is":           {7, true},
		"tried it, heard of it later": {8, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mesh.HiddenAfter(tc.tried, 7); got != tc.want {
				t.Errorf("hidden is %v", got)
			}
		})
	}
}

// What a member list says that was left counts no more.
func TestFormerGossip(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.public(), w.public()
		a.AddSeeds(b.Seeds())
		a.untilAlive(t, 2)
		gone, err := a.GossipAnew(b.Self())
		if err != nil {
			t.Fatal(err)
		}
		a.untilAlive(t, 2)
		gone()
		if s := a.state(b.Self()); s != mesh.StateAlive {
			t.Errorf("%s", s)
		}
	})
}
