package mesh_test

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
)

// A peer that was removed loses its connections and is kept out.
func TestRevokedPeer(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		peers := w.start(3)
		for _, p := range peers {
			p.untilAlive(t, 3)
			p.echo(mesh.KindRPC)
		}
		bad := peers[2]
		c, err := bad.Dial(context.Background(), peers[0].Self(), mesh.KindRPC)
		if err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		w.revoked[bad.Self()] = true
		w.mu.Unlock()
		began := time.Now()
		for _, p := range peers[:2] {
			p.Disconnect(bad.Self())
		}
		if _, err := io.ReadAll(c); err == nil {
			t.Error("read on")
		}
		if d := time.Since(began); d > time.Second {
			t.Errorf("its stream ended after %v", d)
		}
		if _, err := bad.Dial(context.Background(), peers[0].Self(), mesh.KindRPC); err == nil {
			t.Error("it dialled")
		}
		if _, err := peers[0].Dial(context.Background(), bad.Self(), mesh.KindRPC); err == nil {
			t.Error("it was dialled")
		}
		time.Sleep(time.Minute)
		if s := peers[0].state(bad.Self()); s != "" {
			t.Errorf("it is %s", s)
		}
		peers[0].untilAlive(t, 2)
	})
}

// A peer that was removed is told so, by each that has it in its ledger, when
// that happens and whenever it comes back. Nobody else is.
func TestRemovedIsTold(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		var mu sync.Mutex
		told := map[mesh.PeerID][]mesh.PeerID{} // who, by whom
		var peers []*peer
		for range 4 {
			c := w.config()
			c.Dir = t.TempDir()
			c.Removed = func(by mesh.PeerID) {
				mu.Lock()
				defer mu.Unlock()
				told[c.Identity.ID()] = append(told[c.Identity.ID()], by)
			}
			p := w.open(c)
			if len(peers) > 0 {
				p.AddSeeds(peers[0].Seeds())
			}
			peers = append(peers, p)
		}
		for _, p := range peers {
			p.untilAlive(t, 4)
			p.echo(mesh.KindRPC)
		}
		tells := func(p *peer) (by []mesh.PeerID) {
			mu.Lock()
			defer mu.Unlock()
			by = slices.Compact(slices.Sorted(slices.Values(told[p.Self()])))
			delete(told, p.Self())
			return by
		}

		// Forgotten, as one that left is: that tells it nothing.
		peers[0].Disconnect(peers[3].Self())
		time.Sleep(10 * time.Second)
		for _, p := range peers {
			if by := tells(p); len(by) > 0 {
				t.Errorf("%s was told that it was removed, by %v", p.config.Name, by)
			}
		}

		bad := peers[2]
		for _, p := range peers[:2] {
			if _, err := bad.Dial(t.Context(), p.Self(), mesh.KindRPC); err != nil {
				t.Fatal(err)
			}
		}
		w.mu.Lock()
		w.revoked[bad.Self()] = true
		w.mu.Unlock()
		peers[0].Disconnect(bad.Self())
		time.Sleep(time.Second)
		want := []mesh.PeerID{peers[0].Self(), peers[1].Self()}
		slices.Sort(want)
		if by := tells(bad); len(slices.DeleteFunc(want, func(id mesh.PeerID) bool { return slices.Contains(by, id) })) > 0 {
			t.Errorf("it was told by %v, not by %v", by, want)
		}

		c := bad.config
		bad.stop()
		time.Sleep(time.Minute)
		tells(bad)
		c.Socket = w.socket()
		bad = w.open(c)
		time.Sleep(2 * time.Second)
		if by := tells(bad); len(by) == 0 {
			t.Error("it came back and was not told")
		}
		if _, err := bad.Dial(t.Context(), peers[0].Self(), mesh.KindRPC); err == nil {
			t.Error("it dialled")
		}
		time.Sleep(10 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if n := len(told[bad.Self()]); n > 200 {
			t.Errorf("in ten minutes it was told %d times", n)
		}
		for id := range told {
			if id != bad.Self() {
				t.Errorf("%s was told too", id)
			}
		}
	})
}
