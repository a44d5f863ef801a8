package daemon

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

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
	w.logf("each side knows who is left after %v", w.sides(few, many))
	w.checkRefusing(few, many, true)

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

// sides waits until all of each side see those of it and no others, and returns
// how long that took.
func (w *world) sides(sides ...[]*testPeer) time.Duration {
	w.t.Helper()
	begin := time.Now()
	for {
		wrong := ""
		for _, side := range sides {
			for _, p := range side {
				if n := p.status().Members; n != len(side) {
					wrong += fmt.Sprintf("%s sees %d of %d\n", p.name, n, len(side))
				}
			}
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
