package daemon

import (
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
)

// A peer that is offered another seat, because the first offer was thought to
// be lost, must still be able to sign: it may lead next.
func TestNextSeatKeepsTheKey(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.twoPeers()
		first, _ := a.running()
		second, _ := b.running()
		w.eventually(time.Minute, "b has a seat", func() bool { return second.books.Seat() != nil })
		ca, err := mesh.LoadCA(first.folder.path, first.identity)
		if err != nil {
			t.Fatal(err)
		}
		key, err := ca.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if err := second.sit(a.id(), seatOffer{second.books.Seat().number + 1, key}); err != nil {
			t.Fatal(err)
		}
		if _, err := mesh.LoadCA(second.folder.path, second.identity); err != nil {
			t.Errorf("with its next seat it has no key: %v", err)
		}
		if err := second.books.stand(second.books.Seat()); err != nil {
			t.Fatal(err)
		}
		if _, err := mesh.LoadCA(second.folder.path, second.identity); err == nil {
			t.Error("without a seat it still has the key")
		}
	})
}
