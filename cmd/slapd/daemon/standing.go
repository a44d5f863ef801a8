package daemon

import (
	"context"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/consensus"
	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
)

// The parts that a peer may play in consensus.
const (
	partVoter   = "voter"
	partStandby = "standby"
	partMember  = "member"
)

// A Standing is what a peer knows of consensus. A member asks a voter.
type Standing struct {
	Role        string   `json:"role"` // voter, standby or member
	Leads       bool     `json:"leads"`
	Leader      string   `json:"leader"`
	Term        uint64   `json:"term"`
	CommitIndex uint64   `json:"commit_index"`
	Voters      []string `json:"voters"`
	Standbys    []string `json:"standbys"`
	Seats       []uint64 `json:"seats"` // of the voters, then of the standbys
	Quorum      bool     `json:"quorum"`
	Rules       uint64   `json:"rules"` // the newest that the peer knows

	// Own is the seat of who says this, 0 for none. Older programs do not say.
	Own *uint64 `json:"own,omitempty"`
}

// seats reports whether the peer has that seat.
func (s Standing) seats(peer string, seat uint64) bool {
	n := slices.Index(slices.Concat(s.Voters, s.Standbys), peer)
	return n >= 0 && n < len(s.Seats) && s.Seats[n] == seat
}

// standing says how a seat sees consensus.
func (s *seat) standing() Standing {
	status := s.node.Status()
	out := Standing{
		Role:        partVoter,
		Leads:       status.State == consensus.StateLeader,
		Leader:      status.Leader,
		Term:        status.Term,
		CommitIndex: status.CommitIndex,
		Quorum:      status.Quorum,
		Rules:       ledger.CurrentRules,
		Voters:      []string{},
		Standbys:    []string{},
	}
	switch status.State {
	case consensus.StateStandby:
		out.Role = partStandby
	case consensus.StateUnseated, consensus.StateFailed, consensus.StateClosed:
		out.Role = partMember
	case consensus.StateLeader, consensus.StateFollower, consensus.StateCandidate:
	}
	var spare []uint64
	for _, server := range s.node.Servers() {
		if server.Voter {
			out.Voters, out.Seats = append(out.Voters, server.Peer), append(out.Seats, server.Seat)
		} else {
			out.Standbys, spare = append(out.Standbys, server.Peer), append(spare, server.Seat)
		}
	}
	out.Seats = append(out.Seats, spare...)
	return out
}

// askedFor is how long a member believes what a voter told it of consensus,
// unansweredFor how long it believes that nobody knows a leader.
const (
	askedFor      = time.Second
	unansweredFor = 50 * time.Millisecond
)

// Consensus says how this peer sees consensus, if need be by asking.
func (b *books) Consensus(ctx context.Context) Standing {
	b.mu.Lock()
	s, seated, last, at := b.seat, b.seated, b.heard, b.heardAt
	b.mu.Unlock()
	if s != nil && seated {
		return s.standing()
	}
	believed := askedFor
	if last.Leader == "" || !last.Quorum {
		believed = unansweredFor
	}
	if !at.IsZero() && b.d.cfg.Clock().Sub(at) < believed {
		return last
	}
	last = b.askStanding(ctx, last)
	last.Role, last.Leads = partMember, false
	b.mu.Lock()
	b.heard, b.heardAt = last, b.d.cfg.Clock()
	b.mu.Unlock()
	return last
}

// askStanding asks the voters, the leader first, and falls back to what was
// last heard, without a quorum.
func (b *books) askStanding(ctx context.Context, last Standing) Standing {
	for _, peer := range b.targets() {
		var heard Standing
		ask, cancel := context.WithTimeout(ctx, time.Second)
		err := b.d.rpc.call(ask, peer, standingPath, struct{}{}, &heard)
		cancel()
		if err == nil && heard.Role != partMember {
			return heard
		}
	}
	last.Leader, last.Quorum = "", false
	if last.Voters == nil {
		last.Voters, last.Standbys = []string{}, []string{}
	}
	return last
}

// maxTargets bounds whom a member asks before it gives up.
const maxTargets = 8

// targets lists the peers that are likely to hold the ledger: the leader and
// the voters that were heard of last, then whoever may vote and answers.
func (b *books) targets() []mesh.PeerID {
	b.mu.Lock()
	last := b.heard
	b.mu.Unlock()
	self := b.d.mesh.Self()
	alive := map[mesh.PeerID]bool{}
	for _, m := range b.d.mesh.Members() {
		alive[m.ID] = m.State == mesh.StateAlive
	}
	var out []mesh.PeerID
	add := func(id mesh.PeerID) {
		if id != "" && id != self && alive[id] && len(out) < maxTargets && !slices.Contains(out, id) && b.d.mayTell(id) == nil {
			out = append(out, id)
		}
	}
	add(mesh.PeerID(last.Leader))
	for _, v := range last.Voters {
		add(mesh.PeerID(v))
	}
	for p := range b.View().Peers() {
		if p.Seat > 0 && !p.Revoked {
			add(mesh.PeerID(p.ID))
		}
	}
	for id := range alive { // a newcomer knows nothing of the ledger yet
		add(id)
	}
	return out
}
