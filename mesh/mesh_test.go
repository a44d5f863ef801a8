package mesh_test

import (
	"context"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
)

func TestPeersMeetAndTalk(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		peers := w.start(5)
		for _, p := range peers {
			p.untilAlive(t, 5)
			p.echo(mesh.KindRPC)
		}
		for _, from := range peers {
			for _, to := range peers {
				got, err := say(context.Background(), from, to.Self(), mesh.KindRPC, "hello")
				if err != nil || got != "hello" {
					t.Errorf("%s to %s: %q, %v", from.config.Name, to.config.Name, got, err)
				}
			}
		}
	})
}

func TestLoopback(t *testing.T) {
	w := newWorld(t)
	peers := w.start(3)
	begin := time.Now()
	for _, p := range peers {
		p.untilAlive(t, 3)
	}
	t.Logf("3 peers see one another after %v", time.Since(begin))
	peers[2].echo(mesh.KindRaft)
	if got, err := say(t.Context(), peers[0], peers[2].Self(), mesh.KindRaft, "hello"); err != nil || got != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
}
