package consensus

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// A State is what a node is doing.
type State string

// The states of a node.
const (
	StateLeader    State = "leader"
	StateFollower  State = "follower"  // votes, and follows the leader
	StateCandidate State = "candidate" // votes, and wants to lead
	StateStandby   State = "standby"   // follows without a vote
	StateUnseated  State = "unseated"  // not, or no longer, among the servers
	StateFailed    State = "failed"    // its disk is gone, see Failed
	StateClosed    State = "closed"
)

// Status is what a node knows about itself and the log. A Leader that is ""
// is not known.
type Status struct {
	Peer   string
	Seat   uint64
	State  State
	Leader string // peer
	Term   uint64

	CommitIndex  uint64
	AppliedIndex uint64 // handed to the machine
	LastIndex    uint64

	Voters   []string // peers
	Standbys []string // peers

	// Quorum reports that, as far as this node knows, a majority is there:
	// it leads, or hears from a leader.
	Quorum bool

	// LastContact is when the leader was heard of; zero on the leader.
	LastContact time.Time
}

// Status returns how things are now.
func (n *Node) Status() Status {
	s := Status{
		Peer:         n.cfg.Peer,
		Seat:         n.cfg.Seat,
		State:        n.state(),
		Leader:       n.Leader(),
		Term:         n.raft.CurrentTerm(),
		CommitIndex:  n.raft.CommitIndex(),
		AppliedIndex: n.raft.AppliedIndex(),
		LastIndex:    n.raft.LastIndex(),
	}
	for _, server := range n.Servers() {
		if server.Voter {
			s.Voters = append(s.Voters, server.Peer)
		} else {
			s.Standbys = append(s.Standbys, server.Peer)
		}
	}
	switch s.State {
	case StateLeader:
		s.Quorum = !n.store.Stalled()
	case StateFollower, StateStandby:
		s.LastContact = n.raft.LastContact()
		s.Quorum = s.Leader != "" && time.Until(s.LastContact.Add(2*n.cfg.Timing.Heartbeat)) > 0
	default:
		s.LastContact = n.raft.LastContact()
	}
	return s
}

func (n *Node) state() State {
	select {
	case <-n.closed:
		return StateClosed
	case <-n.store.Broken():
		return StateFailed
	default:
	}
	vote, seated := n.suffrage()
	switch state := n.raft.State(); {
	case state == raft.Shutdown:
		return StateClosed
	case state == raft.Leader:
		return StateLeader
	case !seated:
		return StateUnseated
	case !vote:
		return StateStandby
	case state == raft.Candidate:
		return StateCandidate
	}
	return StateFollower
}

// suffrage reports whether this seat votes and whether it is one at all.
func (n *Node) suffrage() (vote, seated bool) {
	for _, s := range n.raft.GetConfiguration().Configuration().Servers {
		if string(s.ID) == n.id {
			return s.Suffrage == raft.Voter, true
		}
	}
	return false, false
}

func (n *Node) seated() bool {
	_, seated := n.suffrage()
	return seated
}

// votesAlone reports whether this seat is the only voter.
func (n *Node) votesAlone() bool {
	alone := false
	for _, s := range n.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter {
			if alone = string(s.ID) == n.id; !alone {
				return false
			}
		}
	}
	return alone
}

// Leader returns the peer that leads, or "" if that is not known.
func (n *Node) Leader() string {
	_, id := n.raft.LeaderWithID()
	peer, _ := splitSeat(string(id))
	return peer
}

// otherLeader returns the peer that leads if it is not this one.
func (n *Node) otherLeader() string {
	if peer := n.Leader(); peer != n.cfg.Peer {
		return peer
	}
	return ""
}

// leads returns nil on a leader whose disk works.
func (n *Node) leads() error {
	select {
	case <-n.draining:
		return ErrClosed
	default:
	}
	if n.raft.State() == raft.Leader && !n.store.Stalled() {
		return nil
	}
	return &NotLeaderError{Leader: n.otherLeader()}
}

// Leads reports whether this node leads. It is cheaper than Status.
func (n *Node) Leads() bool { return n.raft.State() == raft.Leader }

// Watch returns a channel that receives when leader, state or servers may
// have changed. Changes in quick succession count as one, so look at Status
// anew each time. Call stop when done.
func (n *Node) Watch() (changed <-chan struct{}, stop func()) { return n.watchers.add() }

// watchers are those who want to know of changes. The zero value is ready.
type watchers struct {
	mu  sync.Mutex
	all map[chan struct{}]struct{}
}

func (w *watchers) add() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[chan struct{}]struct{}{}
	}
	w.all[c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, c)
	}
}

func (w *watchers) notify() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.all {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Heard returns an index up to which the machine knows all that was decided
// before this node found the others, or led. It is false before that.
func (n *Node) Heard() (index uint64, ok bool) {
	if n.raft.State() == raft.Leader {
		return 0, n.settled.Load() == n.raft.CurrentTerm() // it is all applied
	}
	commit := n.raft.CommitIndex() // by the leader's word: it is not kept on disk
	if commit == 0 || n.Leader() == "" {
		return 0, false
	}
	for ; commit > 0; commit-- {
		var l raft.Log
		if err := n.store.GetLog(commit, &l); err != nil {
			return 0, true // it is in the snapshot
		}
		if l.Type == raft.LogCommand {
			break
		}
	}
	return commit, true
}

// observe passes on what raft tells of itself until the node is closed.
func (n *Node) observe() {
	seen := make(chan raft.Observation, 1)
	observer := raft.NewObserver(seen, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.LeaderObservation, raft.RaftState:
			return true
		}
		return false
	})
	n.raft.RegisterObserver(observer)
	defer n.raft.DeregisterObserver(observer)
	settled := uint64(0) // term
	for {
		select {
		case <-seen:
			n.watchers.notify()
			if term := n.raft.CurrentTerm(); n.raft.State() == raft.Leader && term != settled {
				settled = term
				n.loops.Go(func() { n.settleIn(term) })
			}
		case <-n.store.Broken():
			n.cfg.Log.Error("gave up the log: its disk failed", "peer", n.cfg.Peer, "err", n.store.Err())
			n.watchers.notify()
			<-n.draining
			return
		case <-n.draining:
			return
		}
	}
}

// settleIn makes known what a new leader found committed, and that it is
// current.
func (n *Node) settleIn(term uint64) {
	if n.raft.Barrier(n.cfg.Timing.Call).Error() == nil {
		n.settled.Store(term)
		n.wire.announce()
		n.watchers.notify()
	}
}
