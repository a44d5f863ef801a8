package consensus_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestThreeVotersAgree(t *testing.T) {
	m := newMesh(t)
	synctest.Test(t, func(t *testing.T) {
		m.t = t
		defer m.closeAll()
		m.found(3)
		var want []string
		for i := range 20 {
			c := fmt.Sprintf("c%d", i)
			if _, _, err := m.nodes["a"].Propose(t.Context(), []byte(c)); err != nil {
				t.Fatal(err)
			}
			want = append(want, c)
		}
		time.Sleep(20 * time.Millisecond) // announcements, not the next interval
		for peer, state := range m.states {
			if got := state.Commands(); !slices.Equal(got, want) {
				t.Errorf("%s applied %v, want %v", peer, got, want)
			}
		}
	})
}
