package daemon

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// All peers were off for 200 days, so that every certificate expired. Those
// that keep the CA's key renew their own and find together; the last one, which
// does not, comes back through their doors. Then it is off alone for as long,
// and comes back again.
func TestAllComeBackAfterMonths(t *testing.T) {
	inBubble(t, func(w *world) {
		var ahead atomic.Int64
		clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		found := func() *testPeer {
			p := w.newPeer(3)
			p.config.Clock = clock
			return p
		}
		first := found()
		if err := Found(first.config, FoundOptions{Settings: first.settings, Mesh: "home"}); err != nil {
			t.Fatal(err)
		}
		first.run()
		w.eventually(10*time.Second, "a quorum of one", func() bool { return first.status().Quorum && first.status().Account != "" })
		for _, role := range []protocol.Role{protocol.RoleVoter, protocol.RoleVoter, protocol.RoleComputer} {
			p := found()
			if err := p.join(first, first.token(protocol.TokenInput{Role: role})); err != nil {
				t.Fatal(err)
			}
			p.run()
		}
		together := func() {
			// Who lost its seat while all came back at once sits again; consensus
			// has a clock of its own here, by which nobody was away.
			w.eventually(2*time.Minute, "all peers together, with three seats", func() bool {
				for _, p := range w.peers {
					if s := p.status(); !s.Quorum || s.Members != 4 || len(s.Voters)+len(s.Standbys) != 3 {
						return false
					}
				}
				return true
			})
		}
		together()
		away := func(peers ...*testPeer) {
			for _, p := range peers {
				p.stop()
			}
			ahead.Add(int64(200 * 24 * time.Hour))
			for _, p := range peers {
				d, _ := p.running()
				p.runOn(w.socketAt(d.mesh.Addr().(*net.UDPAddr)))
			}
		}
		away(w.peers...)
		together()
		w.logf("all are back after 200 days")

		// The voters go first, as if they had renewed all the time.
		last := w.peers[3]
		last.stop()
		away(w.peers[:3]...)
		time.Sleep(time.Minute)
		last.run() // elsewhere
		together()
		w.logf("%s is back after 200 days more, at another address", last.name)
	})
}
