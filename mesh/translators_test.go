package mesh_test

import (
	"io"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
)

// Each pair of peers behind translators speaks, and comes to the best path
// that there is while one stream runs on.
func TestTranslators(t *testing.T) {
	places := map[string]func(w *world, ip string) *box{
		"public":          func(*world, string) *box { return nil },
		fullCone:          func(w *world, ip string) *box { return w.cut.boxes.newBox(fullCone, ip, nil) },
		addressRestricted: func(w *world, ip string) *box { return w.cut.boxes.newBox(addressRestricted, ip, nil) },
		portRestricted:    func(w *world, ip string) *box { return w.cut.boxes.newBox(portRestricted, ip, nil) },
		symmetric:         func(w *world, ip string) *box { return w.cut.boxes.newBox(symmetric, ip, nil) },
		"double": func(w *world, ip string) *box {
			return w.cut.boxes.newBox(portRestricted, "10.9.0.1", w.cut.boxes.newBox(addressRestricted, ip, nil))
		},
	}
	for _, tc := range []struct {
		a, b string
		want mesh.Path
	}{
		{"public", fullCone, mesh.PathDirect},
		{"public", symmetric, mesh.PathDirect},
		{symmetric, "public", mesh.PathDirect},
		{portRestricted, fullCone, mesh.PathDirect},
		{symmetric, fullCone, mesh.PathDirect},
		{addressRestricted, addressRestricted, mesh.PathPunched},
		{addressRestricted, portRestricted, mesh.PathPunched},
		{portRestricted, portRestricted, mesh.PathPunched},
		{addressRestricted, symmetric, mesh.PathPunched},
		{symmetric, addressRestricted, mesh.PathPunched},
		{"double", portRestricted, mesh.PathPunched},
		{portRestricted, symmetric, mesh.PathRelayed},
		{symmetric, symmetric, mesh.PathRelayed},
		{"double", symmetric, mesh.PathRelayed},
	} {
		t.Run(tc.a+", "+tc.b, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				relays := []*peer{w.public(), w.public()}
				a := w.behind(places[tc.a](w, "198.51.100.1"))
				b := w.behind(places[tc.b](w, "198.51.100.2"))
				for _, p := range []*peer{relays[1], a, b} {
					p.AddSeeds(relays[0].Seeds())
					p.echo(mesh.KindRPC)
				}
				a.untilAlive(t, 4)
				b.untilAlive(t, 4)
				time.Sleep(2 * time.Second)
				began := time.Now()
				c, err := a.Dial(t.Context(), b.Self(), mesh.KindRPC)
				if err != nil {
					t.Fatal(err)
				}
				dialled := time.Since(began)
				word := make([]byte, 4)
				for range 100 {
					if _, err := io.WriteString(c, "word"); err != nil {
						t.Fatal(err)
					}
					if _, err := io.ReadFull(c, word); err != nil {
						t.Fatal(err)
					}
					if got := a.member(b.Self()).Path; got == tc.want || got == mesh.PathPunched {
						break
					}
					time.Sleep(50 * time.Millisecond)
				}
				t.Logf("dialled in %v, %s after %v", dialled, a.member(b.Self()).Path, time.Since(began))
				time.Sleep(3 * time.Minute) // longer than translators remember
				if _, err := io.WriteString(c, "more"); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(c, word); err != nil {
					t.Fatal(err)
				}
				for _, p := range [][2]*peer{{a, b}, {b, a}} {
					got := p[0].member(p[1].Self())
					if got.Path == mesh.PathPunched && tc.want == mesh.PathDirect {
						got.Path = mesh.PathDirect // it could be dialled, but a hole was faster
					}
					if got.Path != tc.want || got.State != mesh.StateAlive {
						t.Errorf("%s sees %s: %s, %s", p[0].config.Name, p[1].config.Name, got.State, got.Path)
					}
				}
			})
		})
	}
}
