package daemon

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/protocol"
)

// A voter whose state is not that of the others finds that out, stops, and
// says so. When it is opened again its copy is set aside, it is given another
// seat, and has what the others have.
func TestDamagedVoterIsFilledAnew(t *testing.T) {
	inBubble(t, func(w *world) {
		first := w.found(FoundOptions{Mesh: "home"}, 2)
		w.eventually(10*time.Second, "a quorum of one", func() bool { return first.status().Quorum && first.status().Account != "" })
		token := first.token(protocol.TokenInput{Role: protocol.RoleVoter, Uses: 2})
		w.join(first, token, 2)
		w.join(first, token, 2)
		three := func(among ...*testPeer) bool {
			for _, p := range among {
				if s := p.status(); !s.Quorum || len(s.Voters) != 3 {
					return false
				}
			}
			return true
		}
		w.eventually(3*time.Minute, "three voters", func() bool { return three(w.peers...) })
		leader := w.leader(w.peers)
		bad := w.peers[1]
		if bad == leader {
			bad = w.peers[2]
		}
		d, _ := bad.running()
		seat := d.books.Seat()
		// A command that nobody ordered.
		data, err := ledger.Encode(ledger.System(), ledger.CreateUser{Name: "ghost"})
		if err != nil {
			t.Fatal(err)
		}
		seat.Apply(seat.View().Index(), w.begin, [][]byte{data})
		if _, haunted := bad.view().Account("ghost"); !haunted {
			t.Fatal("nothing is wrong with it")
		}
		w.eventually(3*time.Minute, "it stops", func() bool {
			select {
			case <-d.stopping:
				return true
			default:
				return false
			}
		})
		damaged := (*DamagedError)(nil)
		if err := bad.ended(); !errors.As(err, &damaged) {
			t.Fatalf("it ended with %v", err)
		}
		w.logf("%s: %v", bad.name, damaged)
		bad.run()
		if _, err := os.Stat(d.folder.file(asideDir + "/journal")); err != nil {
			t.Errorf("what it held: %v", err)
		}
		w.eventually(5*time.Minute, "three voters again", func() bool { return three(w.peers...) })
		w.eventually(2*time.Minute, "equal states", func() bool {
			d, _ := bad.running()
			l, _ := w.leader(w.peers).running()
			s := d.books.Seat()
			return s != nil && d.holdsHistory() && s.number > seat.number && !differs(s.Marks(), l.books.Seat().Marks()) &&
				s.View().Index() == l.books.Seat().View().Index()
		})
		if _, haunted := bad.view().Account("ghost"); haunted {
			t.Error("the ghost is still there")
		}
		w.eventually(2*time.Minute, "all of history", func() bool {
			d, _ := bad.running()
			l, _ := w.leader(w.peers).running()
			from, to := d.journal.Missing()
			return from == to && d.journal.Frontier().Root() == l.journal.Frontier().Root()
		})
		// It was not the disk: another copy that differs at once is not filled anew.
		now, _ := bad.running()
		if err := now.damaged(errors.New("again")); errors.As(err, &damaged) {
			t.Errorf("filled anew again and again: %v", err)
		}
	})
}
