package daemon

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
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

// whole waits until all peers that run see one another and a leader, and
// returns how long that took.
func (w *world) whole() time.Duration {
	w.t.Helper()
	begin := time.Now()
	for {
		wrong := ""
		for _, p := range w.alive() {
			if s := p.status(); s.Members != len(w.alive()) || !s.Quorum {
				wrong += fmt.Sprintf("%s (%s) sees %d of %d, quorum %v", p.name, s.Role, s.Members, len(w.alive()), s.Quorum)
				d, _ := p.running()
				for _, m := range d.mesh.Members() {
					if m.State != mesh.StateAlive {
						wrong += fmt.Sprintf(", %s %s at %s since %v", m.Name, m.State, m.Address, m.Since.Sub(w.begin))
					}
				}
				wrong += "\n"
			}
		}
		if wrong == "" {
			return time.Since(begin)
		}
		if time.Since(begin) > time.Minute {
			w.t.Fatalf("after a minute:\n%s", wrong)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// minority cuts off the leader, another voter, a member and one more peer,
// and heals the mesh after a while.
func (w *world) minority(l *load) {
	w.t.Helper()
	leader := w.leader(w.alive())
	few, many := []*testPeer{leader, w.peers[mayVote]}, []*testPeer{}
	voters, others := 1, 0
	for _, p := range w.alive() {
		role := p.status().Role
		switch {
		case slices.Contains(few, p):
		case role == protocol.RoleVoter && voters < 2:
			few, voters = append(few, p), voters+1
		case role == "standby" && others < 1:
			few, others = append(few, p), others+1
		default:
			many = append(many, p)
		}
	}
	at := time.Since(w.begin)
	for _, p := range few {
		w.net.move(p.address(), 1)
	}
	w.logf("cut off: %s, who leads, and %v; %d others", leader.name, names(few[1:]), len(many))
	unaware := w.askUnaware(few)
	w.logf("the others acknowledge again after %v", l.firstAfter(at, many...)-at)
	w.leader(many)
	unaware.Wait()

	time.Sleep(15 * time.Second)
	w.checkRefusing(few, many, false)
	time.Sleep(20 * time.Second)
	w.checkRefusing(few, many, true) // by now everybody has compared all it knows with another

	for _, c := range l.answered() {
		if c.err == nil && slices.Contains(few, c.peer) && c.from > at+5*time.Second {
			w.t.Errorf("%s was acknowledged by %s, which was cut off", c.ref, c.peer.name)
		}
	}
	at = time.Since(w.begin)
	for _, p := range few {
		w.net.move(p.address(), 0)
	}
	w.logf("healed: all %d see one another after %v", len(w.alive()), w.whole())
	for _, p := range few {
		w.logf("%s acknowledges again after %v", p.name, l.firstAfter(at, p)-at)
	}
}

func names(peers []*testPeer) (out []string) {
	for _, p := range peers {
		out = append(out, p.name)
	}
	return out
}

// How long a peer may take to find out that it reaches no majority any more.
// Who has a stream open to another finds out within callDetection; gossip
// gives up on those that nobody speaks to after some seconds.
const (
	callDetection   = 2 * time.Second
	gossipDetection = 10 * time.Second
)

// askUnaware asks peers that have just been cut off, which do not know it yet,
// for an instance: they look for a leader for as long as one could be elected,
// and no longer. Each is asked again the moment that it has noticed, which it
// says to be at once.
func (w *world) askUnaware(few []*testPeer) *sync.WaitGroup {
	w.t.Helper()
	begin := time.Now()
	wg := new(sync.WaitGroup)
	for _, p := range few {
		wg.Go(func() {
			took, err := p.refuses("unaware-" + p.name)
			w.logf("%s, cut off and unaware of it, refuses after %v: %v", p.name, took, err)
			if protocol.CodeOf(err) != protocol.ErrUnavailable || took > leaderPatience+callDetection {
				w.t.Errorf("%s, cut off and unaware of it, answers a request after %v with %v (%s)", p.name, took, err, protocol.CodeOf(err))
			}
		})
		wg.Go(func() {
			d, _ := p.running()
			for !d.books.hopeless() && time.Since(begin) < time.Minute {
				time.Sleep(10 * time.Millisecond)
			}
			noticed := time.Since(begin)
			took, err := p.refuses("aware-" + p.name)
			w.logf("%s notices after %v and refuses after %v more", p.name, noticed, took)
			if noticed > gossipDetection {
				w.t.Errorf("%s takes %v to notice that it is cut off", p.name, noticed)
			}
			w.checkRefusal(p, took, err)
		})
	}
	return wg
}

// refuses asks for an instance that the peer cannot have decided, and returns
// how long the answer took.
func (p *testPeer) refuses(reference string) (time.Duration, error) {
	begin := time.Now()
	_, err := p.ask().Request(p.w.t.Context(), protocol.RequestInput{Reference: reference, Release: "memcached"})
	return time.Since(begin), err
}

// atOnce is how soon a peer that knows that it reaches no majority says so.
const atOnce = 100 * time.Millisecond

// checkRefusal holds the answer of a peer that knows that it reaches no
// majority to what it must be: at once, and with what still works.
func (w *world) checkRefusal(p *testPeer, took time.Duration, err error) {
	w.t.Helper()
	if took > atOnce {
		w.t.Errorf("%s, without a majority, took %v to refuse", p.name, took)
	}
	if protocol.CodeOf(err) != protocol.ErrUnavailable {
		w.t.Errorf("%s, without a majority, answers a request with %v (%s)", p.name, err, protocol.CodeOf(err))
	}
	for _, words := range []string{"no majority of the voters", "nothing has happened", "what runs goes on running", "status, list, show and logs"} {
		if !strings.Contains(fmt.Sprint(err), words) {
			w.t.Errorf("%s, without a majority, answers %q, which does not say %q", p.name, err, words)
		}
	}
}

// checkRefusing asks the peers of a minority for an instance, which they must
// refuse at once and in words, and for what they know, which they must tell:
// of who is there if everybody should know by now.
func (w *world) checkRefusing(few, many []*testPeer, known bool) {
	w.t.Helper()
	ctx := w.t.Context()
	var slowest time.Duration
	for _, p := range few {
		took, err := p.refuses("cut-" + p.name)
		slowest = max(slowest, took)
		w.checkRefusal(p, took, err)
		s := p.status()
		if s.Quorum || !s.Stale || known && s.Members != len(few) || len(s.Warnings) == 0 {
			w.t.Errorf("%s, cut off, says quorum %v, stale %v, %d members, warnings %q", p.name, s.Quorum, s.Stale, s.Members, s.Warnings)
		}
		if all, err := p.ask().Instances(ctx, protocol.InstanceQuery{}); err != nil || len(all) == 0 {
			w.t.Errorf("%s, cut off, lists %d instances: %v", p.name, len(all), err)
		}
	}
	for _, p := range many {
		if s := p.status(); !s.Quorum || known && s.Members != len(many) {
			w.t.Errorf("%s, in the majority, says quorum %v, %d members", p.name, s.Quorum, s.Members)
		}
	}
	w.logf("those cut off refuse within %v", slowest)
}

// agree waits until nothing changes any more, and compares the replicas.
func (w *world) agree() {
	w.t.Helper()
	var index uint64
	var hashes map[string]ledger.Hash
	for begin := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		index, hashes = 0, map[string]ledger.Hash{}
		wrong := ""
		for _, p := range w.alive() {
			v := p.view()
			if index != 0 && v.Index() != index {
				wrong += fmt.Sprintf("%s is at %d, another at %d\n", p.name, v.Index(), index)
			}
			index = v.Index()
			if d, _ := p.running(); d.books.Seat() != nil {
				r := d.books.Seat().View()
				hashes[p.name] = r.Hash()
				if r != v {
					wrong += fmt.Sprintf("%s reads its slice at %d, its replica is at %d\n", p.name, v.Index(), r.Index())
				}
			}
			for i := range v.InstancesOn(ledger.ComputerID(p.id())) {
				if i.State != i.Requested {
					wrong += fmt.Sprintf("%s on %s is %s: %s\n", i.Reference, p.name, i.State, i.Reason)
				}
			}
		}
		if len(hashes) != 6 {
			wrong += fmt.Sprintf("%d peers have a seat: %v of %+v\n", len(hashes), slices.Sorted(maps.Keys(hashes)), w.peers[0].status())
		}
		if wrong == "" {
			break
		}
		if time.Since(begin) > 2*time.Minute {
			for _, p := range w.alive() {
				wrong += fmt.Sprintf("%s is %.6s\n", p.name, p.id())
			}
			w.t.Fatalf("no agreement after two minutes:\n%s", wrong)
		}
	}
	first := hashes[slices.Min(slices.Collect(maps.Keys(hashes)))]
	for name, h := range hashes {
		if h != first {
			w.t.Errorf("replicas differ at %d: %v", index, hashes)
			break
		}
		_ = name
	}
	w.logf("%d replicas at index %d have the hash %s", len(hashes), index, first)
}

// checkAcknowledged looks on every peer for every request that was
// acknowledged.
func (w *world) checkAcknowledged(l *load) {
	w.t.Helper()
	type key struct{ account, ref string }
	told, asked, never := map[key]protocol.Instance{}, map[key]bool{}, map[key]bool{}
	for _, c := range l.answered() {
		k := key{c.account, c.ref}
		if c.err == nil {
			if was, ok := told[k]; ok && (was.ID != c.got.ID || was.Computer != c.got.Computer || was.Partition != c.got.Partition) {
				w.t.Errorf("%v: told %d on %s of %s, and %d on %s of %s", k, was.ID, was.Partition, was.ComputerName, c.got.ID, c.got.Partition, c.got.ComputerName)
			}
			told[k] = c.got
		}
		if _, before := asked[k]; c.never() && (!before || never[k]) {
			never[k] = true
		} else {
			delete(never, k)
		}
		asked[k] = true
	}
	for _, p := range w.alive() {
		v := p.view()
		slice := map[*testPeer]string{w.peers[mayVote]: "operator", w.peers[mayVote+1]: "ann"}[p] // "" sees all
		found := map[key]ledger.Instance{}
		for _, account := range []ledger.AccountName{"operator", "ann"} {
			for i := range v.Instances(account) {
				k := key{string(i.Account), string(i.Reference)}
				if _, twice := found[k]; twice {
					w.t.Errorf("%s: %v is there twice", p.name, k)
				}
				if slice != "" && k.account != slice && i.Computer != ledger.ComputerID(p.id()) {
					w.t.Errorf("%s: knows of %v, which is not its business", p.name, k)
				}
				found[k] = i
			}
		}
		places := map[string]key{}
		for k, i := range found {
			place := string(i.Computer) + "/" + ledger.PartitionName(i.Partition)
			if other, taken := places[place]; taken {
				w.t.Errorf("%s: %s was given to %v and to %v", p.name, place, k, other)
			}
			places[place] = k
			if !asked[k] || never[k] {
				w.t.Errorf("%s: %v is there, though nobody may have it", p.name, k)
			}
		}
		missing := 0
		for k, got := range told {
			i, ok := found[k]
			switch {
			case !ok && slice != "" && k.account != slice && got.Computer != string(p.id()):
			case !ok:
				missing++
			case uint64(i.ID) != got.ID || string(i.Computer) != got.Computer || ledger.PartitionName(i.Partition) != got.Partition:
				w.t.Errorf("%s: %v is %s, was acknowledged as %d", p.name, k, i.ID, got.ID)
			}
		}
		if missing > 0 {
			w.t.Errorf("%s: %d of %d acknowledged requests are missing", p.name, missing, len(told))
		}
	}
	yes, no := l.acknowledged()
	w.logf("%d calls acknowledged, %d not; %d instances told of, %d asked for, %d certainly never", yes, no, len(told), len(asked), len(never))
}

// checkComputers compares what runs with what the ledger wants.
func (w *world) checkComputers() {
	w.t.Helper()
	ran := 0
	for _, p := range w.alive() {
		want := map[int]ledger.InstanceID{}
		for i := range p.view().InstancesOn(ledger.ComputerID(p.id())) {
			want[i.Partition] = i.ID
		}
		if got := p.host.runs(); !maps.Equal(got, want) {
			w.t.Errorf("%s runs %v, the ledger wants %v", p.name, got, want)
		}
		for _, fault := range p.host.faults {
			w.t.Errorf("%s: %s", p.name, fault)
		}
		ran += len(want)
	}
	w.logf("%d instances run, each where the ledger says", ran)
}
