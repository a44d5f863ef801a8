package daemon

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/protocol"
)

// TestMesh is whole peers through what befalls a mesh: they join through one
// another, the leader is killed and comes back elsewhere, a partition leaves
// the leader in a minority, voters and members restart; and all the while
// clients request instances through all of them.
func TestMesh(t *testing.T) {
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("SLAPD_TEST_SEED"), "1"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d; another with SLAPD_TEST_SEED=N", seed)
	inBubble(t, func(w *world) {
		token := w.assemble()
		l := w.load(seed, token)
		defer l.end()
		time.Sleep(20 * time.Second)

		killed := w.killLeader(l)
		w.restart()
		w.minority(l)
		w.isLost(killed)
		killed.run()
		w.logf("%s, killed before, runs again with its folder at %s", killed.name, killed.address())
		w.settled()
		time.Sleep(10 * time.Second)
		l.end()

		w.agree()
		w.checkAcknowledged(l)
		w.checkComputers()
		l.checkOrder()
	})
}

// The peers of the scenario: voters, all of the operator's account, and two
// that may not vote, of which the last is Ann's.
const (
	mayVote    = 8
	partitions = 60
)

// assemble founds a mesh and has the others join, each through another peer.
// It returns a token of Ann's for the local API.
func (w *world) assemble() string {
	w.t.Helper()
	first := w.found(FoundOptions{Mesh: "home"}, partitions)
	w.eventually(10*time.Second, "a quorum of one", func() bool { return first.status().Quorum && first.status().Account != "" })
	voter := first.token(protocol.TokenInput{Role: protocol.RoleVoter, Uses: mayVote - 1})
	for n := range mayVote - 1 {
		w.join(w.peers[n], voter, partitions)
	}
	last := w.peers[mayVote-1]
	w.join(last, last.token(protocol.TokenInput{Role: protocol.RoleComputer}), partitions)
	w.join(w.peers[3], first.token(protocol.TokenInput{Role: protocol.RoleComputer, Account: "ann"}), partitions)
	w.logf("%d peers have joined through one another", len(w.peers))
	w.settled()
	bearer := w.peers[5].token(protocol.TokenInput{Role: protocol.RoleUser, Account: "ann"})
	for _, p := range w.peers {
		known := func() bool {
			_, err := p.bearer(bearer).Instances(w.t.Context(), protocol.InstanceQuery{})
			return err == nil
		}
		if p != w.peers[mayVote] { // it may not know more of Ann than others
			w.eventually(5*time.Second, "the token is known to "+p.name, known)
		} else if known() {
			w.t.Errorf("%s, which may not vote and is not Ann's, knows her token", p.name)
		}
	}
	return bearer
}

// settled waits until all peers that run see one another, and five voters and
// a leader that are among them.
func (w *world) settled() {
	w.t.Helper()
	took := w.eventually(3*time.Minute, "five voters that all agree on", func() bool {
		all := w.alive()
		var voters []string
		for _, p := range all {
			s := p.status()
			slices.Sort(s.Voters)
			if s.Members != len(all) || !s.Quorum || len(s.Voters) != 5 || len(s.Standbys) != 1 || voters != nil && !slices.Equal(voters, s.Voters) {
				return false
			}
			voters = s.Voters
		}
		for _, v := range voters {
			if w.named(v) == nil {
				return false
			}
		}
		return true
	})
	w.logf("%d peers, 5 voters and a standby, after %v", len(w.alive()), took)
}

// named returns the running peer with an id, or nil.
func (w *world) named(id string) *testPeer {
	for _, p := range w.alive() {
		if string(p.id()) == id {
			return p
		}
	}
	return nil
}

// killLeader kills the peer that leads and waits until its seat is another's.
func (w *world) killLeader(l *load) *testPeer {
	w.t.Helper()
	leader := w.leader(w.alive())
	at := time.Since(w.begin)
	leader.kill()
	next := l.firstAfter(at, w.alive()...) - at
	w.logf("%s led and was killed; next request acknowledged after %v", leader.name, next)
	if next > 5*time.Second {
		w.t.Errorf("next request acknowledged %v after the leader was killed", next)
	}
	w.settledWithout(leader)
	return leader
}

// settledWithout waits until a killed voter has been replaced.
func (w *world) settledWithout(dead *testPeer) {
	w.t.Helper()
	at := time.Now()
	w.eventually(3*time.Minute, "the killed voter is replaced", func() bool {
		for _, p := range w.alive() {
			s := p.status()
			if !s.Quorum || len(s.Voters) != 5 || slices.Contains(s.Voters, string(dead.id())) {
				return false
			}
		}
		return true
	})
	took := time.Since(at)
	w.logf("its seat is another's after %v", took)
	if took < dead.config.Voters.Grace-2*time.Second {
		w.t.Errorf("the seat of %s was another's after %v, before the time of grace", dead.name, took)
	}
}

// isLost waits until the ledger has it that a peer's computer is silent.
func (w *world) isLost(dead *testPeer) {
	w.t.Helper()
	w.eventually(time.Minute, "its computer is lost", func() bool {
		c, _ := w.alive()[0].view().Computer(ledger.ComputerID(dead.id()))
		return c.State == ledger.ComputerLost
	})
}

// restart has a voter that follows and the members end and run again with
// their folders elsewhere.
func (w *world) restart() {
	w.t.Helper()
	var again []*testPeer
	for _, p := range w.alive() {
		if s := p.status(); s.Role == protocol.RoleVoter && s.Leader != s.PeerID && len(again) == 0 {
			again = append(again, p)
		}
	}
	again = append(again, w.peers[mayVote], w.peers[mayVote+1])
	for _, p := range again {
		from := p.address()
		p.stop()
		time.Sleep(3 * time.Second)
		p.run()
		w.logf("%s (%s) moved from %s to %s", p.name, p.status().Role, from, p.address())
	}
	w.logf("all see those that moved after %v", w.whole())
}

// patient is how long views may differ: peers that believe each other dead find
// out when they next compare all they know, with a peer by chance.
const patient = time.Minute

// whole waits until all peers that run see one another and a leader, and
// returns how long that took.
func (w *world) whole() time.Duration {
	w.t.Helper()
	begin := time.Now()
	told := false
	for {
		wrong := ""
		for _, p := range w.alive() {
			if s := p.status(); s.Members != len(w.alive()) || !s.Quorum {
				wrong += fmt.Sprintf("%s (%s) sees %d of %d, quorum %v", p.name, s.Role, s.Members, len(w.alive()), s.Quorum)
				d, _ := p.running()
				for _, m := range d.mesh.Members() {
					if m.State != mesh.StateAlive {
						wrong += fmt.Sprintf(", %s %s at %q, says %v, since %v", m.Name, m.State, m.Address, m.Addresses, m.Since.Sub(w.begin))
					}
				}
				wrong += "\n"
			}
		}
		if took := time.Since(begin); wrong != "" && took > 10*time.Second && !told {
			told = true
			w.logf("views after %v:\n%s", took, wrong)
		}
		if wrong == "" {
			return time.Since(begin)
		}
		if time.Since(begin) > patient {
			w.t.Fatalf("after %v:\n%s", patient, wrong)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
