// Package voters decides who votes.
//
// [Decide] compares the peers of a mesh with the seats at its log and names the
// one [Step] to take next. It is a pure function: the leader calls it whenever
// either changes, takes the step, and calls it again. Steps are small and each
// leaves a majority that answers, so a leader may die between any two of them.
//
// How many vote depends on how many may: of one or two peers one, of three or
// four three, from five on five, from fifty on seven. Besides there is a standby
// or two, who has the log already when a voter is lost. A lost voter keeps its
// seat until the grace time is over and somebody can take its place; one that
// comes back before goes on as if nothing had happened.
package voters

import (
	"cmp"
	"time"
)

// A Candidate is a peer of the mesh.
type Candidate struct {
	Peer string

	// Site is where it is: voters are spread over sites. "" is a site too.
	Site string

	// Eligible says that it may vote: it has the role, is not revoked and
	// has not left.
	Eligible bool

	// Reachable says whether it answers, and Since from when on it does so,
	// or does not.
	Reachable bool
	Since     time.Time

	// Seat is the seat that it was given last, or 0 if that is not known. A
	// peer that lost its disk has been given a new one.
	Seat uint64
}

// A Seat is one place at the log.
type Seat struct {
	Peer   string
	Seat   uint64
	Voter  bool
	Leader bool

	// Current says that it has the log but for a few entries and answered
	// just now.
	Current bool
}

// An Action is a kind of step.
type Action string

// The actions. AddStandby takes a seat number that was never used; the others
// are about the seat that the step names.
const (
	None       Action = "none"
	AddStandby Action = "add standby"
	Promote    Action = "promote"
	Demote     Action = "demote"
	Remove     Action = "remove"
	Transfer   Action = "transfer leadership"
)

// A Step is what to do next, and why.
type Step struct {
	Action Action
	Peer   string
	Seat   uint64 // 0 for AddStandby
	Why    string
}

func (s Step) String() string {
	if s.Action == None {
		return string(None)
	}
	return string(s.Action) + " " + s.Peer + ": " + s.Why
}

// Policy is how patient Decide is.
type Policy struct {
	// Grace is how long a voter or standby may be away before its seat is
	// given to another. Default 60s.
	Grace time.Duration

	// Settle is how long a peer must have been reachable before it gets a
	// seat. Default 0.
	Settle time.Duration
}

// Size returns how many of so many peers vote.
func Size(peers int) int {
	switch {
	case peers >= 50:
		return 7
	case peers >= 5:
		return 5
	case peers >= 3:
		return 3
	}
	return min(peers, 1)
}

// spare returns how many standbys so many peers keep.
func spare(peers int) int {
	keep := 1
	if peers >= 50 {
		keep = 2
	}
	return max(0, min(keep, peers-Size(peers)))
}

// Decide returns the next step, or one with the action None. Equal arguments
// give equal steps, whatever their order.
func Decide(peers []Candidate, seats []Seat, at time.Time, policy Policy) Step {
	policy.Grace = cmp.Or(policy.Grace, time.Minute)
	t := newTable(peers, seats, at, policy)
	for _, rule := range []func() (Step, bool){t.clear, t.promote, t.release, t.shrink, t.seat, t.unseat} {
		if step, ok := rule(); ok {
			return step
		}
	}
	return Step{Action: None}
}
