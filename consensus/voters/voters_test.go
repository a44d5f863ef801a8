package voters_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/slapmesh/slapmesh/consensus/voters"
)

var epoch = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// world is a mesh that takes every step, at once.
type world struct {
	peers map[string]*voters.Candidate
	seats []voters.Seat
	given uint64
	at    time.Time
}

func newWorld(peers string) *world {
	w := &world{peers: map[string]*voters.Candidate{}, at: epoch}
	for p := range strings.FieldsSeq(peers) {
		w.join(p)
	}
	w.given++
	first, _, _ := strings.Cut(strings.Fields(peers)[0], "@")
	w.seats = []voters.Seat{{Peer: first, Seat: 1, Voter: true, Leader: true, Current: true}}
	return w
}

func (w *world) join(peer string) {
	name, site, _ := strings.Cut(peer, "@")
	w.at = w.at.Add(time.Second)
	w.peers[name] = &voters.Candidate{Peer: name, Site: site, Eligible: true, Reachable: true, Since: w.at}
}

func (w *world) reach(peer string, ok bool) {
	w.peers[peer].Reachable, w.peers[peer].Since = ok, w.at
}

func (w *world) decide() voters.Step {
	var peers []voters.Candidate
	for _, c := range w.peers {
		peers = append(peers, *c)
	}
	seats := slices.Clone(w.seats)
	for i, s := range seats {
		c := w.peers[s.Peer]
		seats[i].Current = c != nil && c.Reachable
	}
	return voters.Decide(peers, seats, w.at, voters.Policy{})
}

// take does one step, as the leader would.
func (w *world) take(s voters.Step) {
	i := slices.IndexFunc(w.seats, func(p voters.Seat) bool { return p.Peer == s.Peer && p.Seat == s.Seat })
	switch s.Action {
	case voters.AddStandby:
		w.given++
		w.seats = append(w.seats, voters.Seat{Peer: s.Peer, Seat: w.given})
		w.peers[s.Peer].Seat = w.given
	case voters.Promote:
		w.seats[i].Voter = true
	case voters.Demote:
		w.seats[i].Voter = false
	case voters.Remove:
		w.seats = slices.Delete(w.seats, i, i+1)
	case voters.Transfer:
		w.elect(s.Peer)
	case voters.None:
	}
}

// elect makes a voter that answers the leader, not the one named.
func (w *world) elect(not string) {
	for i := range w.seats {
		w.seats[i].Leader = false
	}
	for i, s := range w.seats {
		if c := w.peers[s.Peer]; s.Voter && s.Peer != not && c != nil && c.Reachable && c.Eligible {
			w.seats[i].Leader = true
			return
		}
	}
}

// settle takes steps until there are none, and returns them.
func (w *world) settle(tb interface{ Fatalf(string, ...any) }) []string {
	var steps []string
	for range 200 {
		s := w.decide()
		if s.Action == voters.None {
			return steps
		}
		steps = append(steps, string(s.Action)+" "+s.Peer)
		w.take(s)
	}
	tb.Fatalf("no end of steps: %v", steps)
	return nil
}

// seating returns the seats, voters first.
func (w *world) seating() string {
	var vote, stand []string
	for _, s := range w.seats {
		if s.Voter {
			vote = append(vote, s.Peer)
		} else {
			stand = append(stand, s.Peer)
		}
	}
	slices.Sort(vote)
	slices.Sort(stand)
	return strings.Join(vote, " ") + " + " + strings.Join(stand, " ")
}

func TestSizes(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 1, 2: 1, 3: 3, 4: 3, 5: 5, 49: 5, 50: 7, 400: 7} {
		if got := voters.Size(n); got != want {
			t.Errorf("Size(%d) = %d, want %d", n, got, want)
		}
	}
}

func TestDecide(t *testing.T) {
	tests := []struct {
		name  string
		peers string
		do    func(*world)
		want  string // seating after all steps
	}{
		{name: "one votes alone", peers: "a", want: "a + "},
		{name: "the second stands by", peers: "a b", want: "a + b"},
		{name: "three vote", peers: "a b c", want: "a b c + "},
		{name: "the fourth stands by", peers: "a b c d", want: "a b c + d"},
		{name: "five vote", peers: "a b c d e", want: "a b c d e + "},
		{name: "sites are mixed", peers: "a@x b@x c@x d@y e@z f@x", want: "a b c d e + f"},
		{name: "other sites go first", peers: "a@x b@x c@y d@z", want: "a c d + b"},
		{
			name: "who is just away stays", peers: "a b c d",
			do:   func(w *world) { w.reach("b", false); w.at = w.at.Add(59 * time.Second) },
			want: "a b c + d",
		},
		{
			name: "a lost voter is replaced", peers: "a b c d",
			do:   func(w *world) { w.reach("b", false); w.at = w.at.Add(time.Minute) },
			want: "a c d + ",
		},
		{
			name: "a lost voter stays when nobody can replace it", peers: "a b c",
			do:   func(w *world) { w.reach("b", false); w.at = w.at.Add(time.Hour) },
			want: "a b c + ",
		},
		{
			name: "who comes back after being replaced stands by", peers: "a b c d",
			do: func(w *world) {
				w.reach("b", false)
				w.at = w.at.Add(time.Hour)
				w.settle(t)
				w.reach("b", true)
			},
			want: "a c d + b",
		},
		{
			name: "who may not vote any more goes", peers: "a b c d",
			do:   func(w *world) { w.peers["c"].Eligible = false },
			want: "a b d + ",
		},
		{
			name: "a leader that may not vote hands over", peers: "a b c d",
			do:   func(w *world) { w.peers["a"].Eligible = false },
			want: "b c d + ",
		},
		{
			name: "of three one leaves", peers: "a b c",
			do:   func(w *world) { delete(w.peers, "c") },
			want: "a + b",
		},
		{
			name: "of five one leaves", peers: "a b c d e",
			do:   func(w *world) { delete(w.peers, "b") },
			want: "a c d + e",
		},
		{
			name: "a lost disk costs the seat", peers: "a b c",
			do:   func(w *world) { w.given++; w.peers["b"].Seat = w.given },
			want: "a b c + ",
		},
		{
			name: "a majority that is away changes nothing", peers: "a b c d",
			do: func(w *world) {
				w.reach("b", false)
				w.reach("c", false)
				w.at = w.at.Add(time.Hour)
			},
			want: "a b c + d",
		},
		{
			name: "a lost standby loses its seat", peers: "a b",
			do:   func(w *world) { w.reach("b", false); w.at = w.at.Add(time.Hour) },
			want: "a + ",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(tt.peers)
			w.settle(t)
			if tt.do != nil {
				tt.do(w)
			}
			steps := w.settle(t)
			if got := w.seating(); got != tt.want {
				t.Errorf("seating %q, want %q; last steps %v", got, tt.want, steps)
			}
		})
	}
}

// TestNoStepLosesTheMajority lets peers come, go, vanish and return at random.
func TestNoStepLosesTheMajority(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld("p0@s0")
		for n := 1; n < 40; n++ {
			w.happen(t, n)
			for range 200 {
				s := w.decide()
				if s.Action == voters.None {
					break
				}
				if s.Action != voters.Transfer && w.leads(s.Peer, s.Seat) {
					t.Fatalf("%v: it leads", s)
				}
				before := w.answers()
				w.take(s)
				if before && !w.answers() {
					t.Fatalf("%v: no majority any more: %s", s, w.seating())
				}
			}
			if s := w.decide(); s.Action != voters.None {
				t.Fatalf("no end of steps: %v", s)
			}
		}
	})
}

// happen changes the world at random. Its leader stays reachable.
func (w *world) happen(t *rapid.T, n int) {
	var names []string
	for name := range w.peers {
		if !w.leads(name, 0) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	w.at = w.at.Add(time.Duration(rapid.IntRange(1, 100).Draw(t, "seconds")) * time.Second)
	if what := rapid.IntRange(0, 5).Draw(t, "what"); what <= 2 || len(names) == 0 {
		w.join(fmt.Sprintf("p%d@s%d", n, rapid.IntRange(0, 2).Draw(t, "site")))
	} else if name := rapid.SampledFrom(names).Draw(t, "peer"); what == 3 {
		w.peers[name].Eligible = !w.peers[name].Eligible
	} else {
		w.reach(name, !w.peers[name].Reachable)
	}
}

func (w *world) leads(peer string, seat uint64) bool {
	return slices.ContainsFunc(w.seats, func(s voters.Seat) bool {
		return s.Leader && s.Peer == peer && (seat == 0 || s.Seat == seat)
	})
}

func (w *world) answers() bool {
	all, live := 0, 0
	for _, s := range w.seats {
		if !s.Voter {
			continue
		}
		all++
		if c := w.peers[s.Peer]; s.Leader || c != nil && c.Eligible && c.Reachable {
			live++
		}
	}
	return live > all/2
}

// TestOrderDoesNotMatter gives the same facts in two orders.
func TestOrderDoesNotMatter(t *testing.T) {
	w := newWorld("a b@x c@y d@x e")
	w.settle(t)
	w.reach("c", false)
	w.at = w.at.Add(time.Hour)
	first := w.decide()
	slices.Reverse(w.seats)
	for range 20 { // maps iterate differently each time
		if again := w.decide(); again != first {
			t.Fatalf("%v, then %v", first, again)
		}
	}
}

func ExampleDecide() {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	peers := []voters.Candidate{
		{Peer: "ann", Eligible: true, Reachable: true, Since: at},
		{Peer: "bob", Eligible: true, Reachable: true, Since: at},
		{Peer: "cyd", Eligible: true, Reachable: true, Since: at},
	}
	seats := []voters.Seat{{Peer: "ann", Seat: 1, Voter: true, Leader: true, Current: true}}
	for number := uint64(2); ; number++ {
		step := voters.Decide(peers, seats, at, voters.Policy{})
		fmt.Println(step)
		switch step.Action {
		case voters.AddStandby:
			seats = append(seats, voters.Seat{Peer: step.Peer, Seat: number, Current: true})
		case voters.Promote:
			for i := range seats {
				seats[i].Voter = seats[i].Voter || seats[i].Peer == step.Peer
			}
		default:
			return
		}
	}
	// Output:
	// add standby bob: 0 standbys, 1 voters
	// add standby cyd: 1 standbys, 1 voters
	// promote bob: 1 of 3 voters
	// promote cyd: 2 of 3 voters
	// none
}
