package daemon

import (
	"io"
	"sync"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/protocol"
)

// TestRemovedEverywhere removes one of many peers while it holds open streams
// with each other one, in both directions, calls and tunnels: all of them end within two seconds, and none can be opened any more.
func TestRemovedEverywhere(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a, _ := w.twoPeers()
		voter := a.token(protocol.TokenInput{Role: protocol.RoleVoter, Uses: 3})
		computer := a.token(protocol.TokenInput{Role: protocol.RoleComputer, Uses: 9, Account: "ann"})
		for n := range 9 {
			token := computer
			if n < 3 {
				token = voter
			}
			w.join(w.peers[n], token, 2)
		}
		w.eventually(3*time.Minute, "all see one another", func() bool {
			for _, p := range w.peers {
				if s := p.status(); s.Members != len(w.peers) || len(s.Voters) != 5 {
					return false
				}
			}
			return true
		})
		gone := w.peers[len(w.peers)-1]
		gd, _ := gone.running()
		var mu sync.Mutex
		var wg sync.WaitGroup
		begin, last := time.Now(), time.Duration(0)
		hold := func(from, to *testPeer, kind mesh.Kind, words string) { // and never the rest
			d, _ := from.running()
			c, err := d.mesh.Dial(t.Context(), to.id(), kind)
			if err != nil {
				t.Fatalf("%s to %s: %v", from.name, to.name, err)
			}
			if _, err := io.WriteString(c, words); err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				_, err := c.Read(make([]byte, 1))
				mu.Lock()
				defer mu.Unlock()
				last = max(last, time.Since(begin))
				if err == nil {
					t.Errorf("%s to %s: it was answered", from.name, to.name)
				}
				_ = c.Close()
			})
		}
		others := w.peers[:len(w.peers)-1]
		for _, p := range others {
			for _, ends := range [][2]*testPeer{{p, gone}, {gone, p}} {
				hold(ends[0], ends[1], mesh.KindRPC, "POST /v1/nothing HTTP/1.1\r\n")
				hold(ends[0], ends[1], mesh.KindTunnel, "\x00\x20")
			}
		}
		mu.Lock()
		begin = time.Now()
		mu.Unlock()
		if err := a.ask().RemoveMember(t.Context(), string(gone.id())); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		w.logf("all %d streams have ended %v after the removal", 4*len(others), last)
		if last > 2*time.Second {
			t.Errorf("the last stream ended after %v", last)
		}
		for _, p := range others {
			d, _ := p.running()
			for _, kind := range []mesh.Kind{mesh.KindRPC, mesh.KindTunnel} {
				if c, err := gd.mesh.Dial(t.Context(), p.id(), kind); err == nil {
					_ = c.Close()
					t.Errorf("it still reaches %s", p.name)
				}
			}
			if c, err := d.mesh.Dial(t.Context(), gone.id(), mesh.KindRPC); err == nil {
				_ = c.Close()
				t.Errorf("%s still reaches it", p.name)
			}
		}
		_ = gone.ended() // which says why
		w.eventually(time.Minute, "it is listed nowhere", func() bool {
			for _, p := range others {
				if p.status().Members != len(others) {
					return false
				}
			}
			return true
		})
	})
}
