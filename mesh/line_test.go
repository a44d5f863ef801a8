package mesh_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
)

// Who knows one CA of a mesh recognises those that follow it, and no others.
func TestLineOfCAs(t *testing.T) {
	next := func(ca *mesh.CA) *mesh.CA {
		t.Helper()
		n, err := ca.Next(rand.Reader, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	first, stranger := newWorld(t).ca, newWorld(t).ca
	second := next(first)
	third := next(second)
	other := next(stranger)
	for _, ca := range []*mesh.CA{second, third} {
		if ca.MeshID() != first.MeshID() || ca.Name() != first.Name() || ca.Digest() == first.Digest() {
			t.Errorf("mesh %s (%s), was %s (%s)", ca.MeshID(), ca.Name(), first.MeshID(), first.Name())
		}
		data, err := ca.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := mesh.ParseCA(data); err != nil || again.Digest() != ca.Digest() || again.MeshID() != ca.MeshID() {
			t.Errorf("read again: %v", err)
		}
	}
	many := []*mesh.CA{first}
	for len(many) < 10 {
		many = append([]*mesh.CA{next(many[0])}, many...)
	}
	for _, test := range []struct {
		name  string
		known *mesh.CA
		shown []*mesh.CA
		want  *mesh.CA
	}{
		{"itself", first, []*mesh.CA{first}, first},
		{"the next", first, []*mesh.CA{second, first}, second},
		{"the one after", first, []*mesh.CA{third, second, first}, third},
		{"from the middle", second, []*mesh.CA{third, second, first}, third},
		{"one missing", first, []*mesh.CA{third, first}, nil},
		{"back in time", third, []*mesh.CA{first}, nil},
		{"the wrong way round", first, []*mesh.CA{first, second}, first},
		{"another mesh", first, []*mesh.CA{stranger}, nil},
		{"another mesh's next", first, []*mesh.CA{other, first}, nil},
		{"nothing", first, nil, nil},
		{"too many", first, many, nil},
	} {
		got, err := mesh.Descends(test.known.Digest(), test.shown...)
		if got != test.want || (err == nil) != (test.want != nil) {
			t.Errorf("%s: %v, %v", test.name, got, err)
		}
	}
}
