package ledger

import (
	"fmt"
	"strings"
	"testing"
)

// TestNear: a computer is shown where those are that its instances may reach,
// of their trees and projects, and nothing else of them. (That slices keep up is
// for TestReplicasAgree.)
func TestNear(t *testing.T) {
	w := given(t, `
		system found home ann p1
		p1 offer 6
		p1 token t1 computer bob
		p1 admit p2 t1
		p2 offer 4
		p1 token t2 computer eve
		p1 admit p3 t2
		p3 offer 4
		p1 token t3 user dora
		p1 publish web 1
		p1 publish db 1
		p1 publish log 1
		p1 project acme ann
		@dora request shop web 1 ?computer=p2 a=1
		@dora request other web 1 ?computer=p1 scope=public
		p2 request db db 1 parent=i1 x=1 ?computer=p3
		p3 request log log 1 parent=i3 x=1 ?computer=p1
		@ann token t4 user ann 1 project=acme
		%t4 request front web 1 ?computer=p2
		%t4 request back db 1 x=1 ?computer=p3
	`)
	for _, tc := range []struct {
		peer PeerID
		want string // what it is shown of others, with how many parameters and secrets
	}{
		// dora's tree of three, and acme's two, whoever asked for them.
		{"p2", "shop shop/db(1) shop/db/log(0) front back(0)"},
		{"p3", "shop(0) shop/db shop/db/log(1) front(0) back"},
	} {
		v, err := w.Viewer(tc.peer)
		if err != nil {
			t.Fatal(err)
		}
		s := NewPartial()
		for f := range w.FullFrames(v) {
			if _, err := s.Merge(f); err != nil {
				t.Fatal(err)
			}
		}
		near := map[InstanceID]bool{}
		for i := range s.Neighbours(ComputerID(tc.peer)) {
			near[i.ID] = true
		}
		var got []string
		for i := range w.AllInstances() {
			seen, ok := s.Instance(i.ID)
			if ok != near[i.ID] || ok != w.Near(ComputerID(tc.peer), i) {
				t.Errorf("%s: %s is shown: %v; near: %v, %v", tc.peer, w.Path(i), ok, near[i.ID], w.Near(ComputerID(tc.peer), i))
			}
			switch {
			case ok && i.Computer == ComputerID(tc.peer):
				got = append(got, w.Path(i))
			case ok:
				got = append(got, fmt.Sprintf("%s(%d)", w.Path(i), len(seen.Parameters)+len(seen.Connection)))
			}
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%s is shown %s, want %s", tc.peer, got, tc.want)
		}
	}
}
