package mesh_test

import (
	"io"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
)

// A tunnel goes on when the computer moves that was dialled, as when the one
// moves that dialled; whoever asks something else is told within seconds that
// there is no answer, and asks again.
func TestDialledPeerMoves(t *testing.T) {
	for _, who := range []string{"dialled", "dialling"} {
		t.Run(who, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				office, others := w.public(), []*peer{w.public(), w.public()}
				home := w.cut.boxes.newBox(fullCone, "198.51.100.1", nil)
				laptop := w.behind(home)
				for _, p := range []*peer{office, laptop} {
					p.echo(mesh.KindTunnel)
					p.echo(mesh.KindRPC)
				}
				for _, p := range append(others, laptop) {
					p.AddSeeds(office.Seeds())
				}
				laptop.untilAlive(t, 4)
				office.untilAlive(t, 4)
				time.Sleep(20 * time.Second) // it learns where it is seen, and says so
				from, to := office, laptop
				if who == "dialling" {
					from, to = laptop, office
				}
				if err := from.Redial(t.Context(), to.Self()); err != nil {
					t.Fatal(err)
				}
				tunnel, err := from.Dial(t.Context(), to.Self(), mesh.KindTunnel)
				if err != nil {
					t.Fatal(err)
				}
				word := make([]byte, 4)
				for round := range 4 {
					began := time.Now()
					for _, f := range []func() error{
						func() error { _, err := io.WriteString(tunnel, "word"); return err },
						func() error { _, err := io.ReadFull(tunnel, word); return err },
					} {
						if err := f(); err != nil {
							t.Fatalf("round %d: %v", round, err)
						}
					}
					took := time.Since(began)
					t.Logf("round %d took %v", round, took)
					if took > 8*time.Second {
						t.Errorf("the tunnel stood still for %v", took)
					}
					if c, err := from.Dial(t.Context(), to.Self(), mesh.KindRPC); err != nil {
						t.Errorf("round %d: %v", round, err)
					} else {
						_ = c.Close()
					}
					w.cut.rename(home)
				}
				_ = tunnel.Close()
			})
		})
	}
}

// Nobody but the peer itself says where it went: words that are made up, or
// repeated from another address, lead nowhere, and neither does who only
// repeats them in time but cannot answer.
func TestOnlyThePeerSaysThatItMoved(t *testing.T) {
	b := mesh.NewBearing("203.0.113.1:7527")
	said := mesh.MakeSignal(mesh.BearingKey, 3, 7)
	for _, tc := range []struct {
		what    string
		content []byte
		from    string
		want    string // where it leads afterwards
	}{
		{"made up", mesh.MakeSignal([]byte("another key"), 3, 9), "198.51.100.9:1", ""},
		{"an answer to nothing", mesh.MakeSignal(mesh.BearingKey, 2, 0), "198.51.100.9:1", ""},
		{"repeated first by a thief", said, "198.51.100.9:1", ""},
		{"a guess of the thief", mesh.MakeSignal([]byte("another key"), 2, 1), "198.51.100.9:1", ""},
		{"the word itself, late", said, "198.51.100.1:7527", ""},
		{"its next word", mesh.MakeSignal(mesh.BearingKey, 3, 8), "198.51.100.1:7527", ""},
		{"its answer, repeated elsewhere", nil, "198.51.100.9:1", ""},
		{"its answer", nil, "198.51.100.1:7527", "198.51.100.1:7527"},
		{"an old word", said, "198.51.100.9:1", "198.51.100.1:7527"},
	} {
		content := tc.content
		if content == nil {
			content = mesh.MakeSignal(mesh.BearingKey, 2, b.Asked())
		}
		if b.Hear(content, tc.from); b.LeadsTo() != tc.want {
			t.Errorf("%s: it leads to %q, want %q", tc.what, b.LeadsTo(), tc.want)
		}
	}
}
