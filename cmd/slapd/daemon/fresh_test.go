package daemon

import (
	"net"
	"slices"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// A voter that begins again answers with all that was decided before, from its
// first answer on.
func TestFirstAnswerIsWhole(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.found(FoundOptions{Mesh: "home"}, 2)
		w.eventually(10*time.Second, "a quorum of one", func() bool { return p.status().Quorum && p.status().Account != "" })
		for range 5 {
			for range 20 {
				p.token(protocol.TokenInput{})
			}
			before, err := p.ask().Tokens(w.t.Context())
			if err != nil {
				w.t.Fatal(err)
			}
			p.stop()
			p.run()
			after, err := p.ask().Tokens(w.t.Context())
			if err != nil || len(after) != len(before) {
				w.t.Errorf("%d tokens, %v; want %d", len(after), err, len(before))
			}
		}
	})
}

// Voters that all begin again at one moment keep their seats.
func TestSeatsOutliveAllVoters(t *testing.T) {
	inBubble(t, func(w *world) {
		first := w.found(FoundOptions{Mesh: "home"}, 2)
		w.eventually(10*time.Second, "a quorum of one", func() bool { return first.status().Quorum && first.status().Account != "" })
		token := first.token(protocol.TokenInput{Role: protocol.RoleVoter, Uses: 2})
		w.join(first, token, 2)
		w.join(first, token, 2)
		w.eventually(3*time.Minute, "three voters", func() bool {
			for _, p := range w.peers {
				if s := p.status(); !s.Quorum || len(s.Voters) != 3 {
					return false
				}
			}
			return true
		})
		seats := func() (out []uint64) {
			for _, p := range w.peers {
				d, _ := p.running()
				for p := range d.books.View().Peers() {
					out = append(out, p.Seat)
				}
				out = append(out, d.books.Seat().number)
			}
			return out
		}
		want := seats()
		for round := range 5 {
			for _, p := range w.peers {
				p.stop()
			}
			for _, p := range w.peers {
				d, _ := p.running()
				p.runOn(w.socketAt(d.mesh.Addr().(*net.UDPAddr)))
				time.Sleep(time.Duration(round) * 300 * time.Millisecond)
			}
			time.Sleep(3 * time.Minute)
			if got := seats(); !slices.Equal(got, want) {
				w.t.Fatalf("round %d: seats %v, want %v", round, got, want)
			}
		}
	})
}
