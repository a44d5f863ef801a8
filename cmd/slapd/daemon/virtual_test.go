package daemon

import (
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

func TestSmoke(t *testing.T) {
	inBubble(t, func(w *world) {
		p0 := w.found(FoundOptions{Mesh: "home"}, 20)
		w.eventually(10*time.Second, "a quorum", func() bool { return p0.status().Quorum && p0.status().Account != "" })
		w.logf("founded")
		token := p0.token(protocol.TokenInput{Role: protocol.RoleVoter, Uses: 10})
		last := p0
		for range 2 {
			last = w.join(last, token, 20)
			w.logf("%s is admitted", last.name)
		}
		w.eventually(time.Minute, "3 voters", func() bool { return len(last.status().Voters) == 3 })
		w.logf("3 voters")
		i, err := last.ask().Request(t.Context(), protocol.RequestInput{Reference: "a", Release: "memcached"})
		w.logf("%+v %v", i, err)
	})
}
