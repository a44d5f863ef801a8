package consensus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// A Server is one seat of the log.
type Server struct {
	Peer  string
	Seat  uint64
	Voter bool

	// Match is the newest entry that the seat is known to have, and Contact
	// when it last answered. Only a leader knows; its own seat has its last
	// index and no Contact.
	Match   uint64
	Contact time.Time
}

// Servers returns the seats, in the order in which they were added. A change
// shows here before it is committed.
func (n *Node) Servers() []Server {
	configured := n.raft.GetConfiguration().Configuration().Servers
	leads := n.raft.State() == raft.Leader
	servers := make([]Server, 0, len(configured))
	for _, c := range configured {
		s := Server{Voter: c.Suffrage == raft.Voter}
		s.Peer, s.Seat = splitSeat(string(c.ID))
		switch {
		case !leads:
		case string(c.ID) == n.id:
			s.Match = n.raft.LastIndex()
		default:
			s.Match, s.Contact = n.wire.progress(c.ID)
		}
		servers = append(servers, s)
	}
	return servers
}

// find returns the seat that a peer has.
func (n *Node) find(peer string) (Server, bool) {
	for _, s := range n.Servers() {
		if s.Peer == peer {
			return s, true
		}
	}
	return Server{}, false
}

// AddStandby gives a peer a seat without a vote. It does nothing if the peer
// has that seat, and refuses if it has another. Leader only.
func (n *Node) AddStandby(ctx context.Context, peer string, seat uint64) error {
	if peer == "" || len(peer) > maxPeer {
		return fmt.Errorf("add standby %q: %w", peer, ErrSeat)
	}
	s, ok := n.find(peer)
	switch {
	case ok && s.Seat == seat:
		return n.leads()
	case ok:
		return fmt.Errorf("add standby %s: it has seat %d, not %d: %w", peer, s.Seat, seat, ErrSeat)
	}
	id := seatID(peer, seat)
	return n.change(ctx, "add standby "+id, func(timeout time.Duration) raft.IndexFuture {
		return n.raft.AddNonvoter(raft.ServerID(id), raft.ServerAddress(id), 0, timeout)
	})
}

// maxBehind is how many entries a standby may lack when it is promoted. It has
// them a moment later.
const maxBehind = 64

// Promote gives a standby a vote. It refuses while the standby is silent or
// lacks more than a few entries: a voter that cannot follow would cost the
// majority. It does nothing if the seat votes already. Leader only.
func (n *Node) Promote(ctx context.Context, peer string, seat uint64) error {
	s, ok := n.find(peer)
	switch {
	case !ok || s.Seat != seat:
		return fmt.Errorf("promote %s: it has not got seat %d: %w", peer, seat, ErrSeat)
	case s.Voter:
		return n.leads()
	}
	if err := n.leads(); err != nil {
		return fmt.Errorf("promote %s: %w", peer, err)
	}
	if last := n.raft.CommitIndex(); s.Match+maxBehind < last || time.Until(s.Contact.Add(n.cfg.Timing.Heartbeat)) < 0 {
		return fmt.Errorf("promote %s: has %d of %d entries: %w", peer, s.Match, last, ErrBehind)
	}
	id := seatID(peer, seat)
	return n.change(ctx, "promote "+id, func(timeout time.Duration) raft.IndexFuture {
		return n.raft.AddVoter(raft.ServerID(id), raft.ServerAddress(id), 0, timeout)
	})
}

// Demote takes a seat's vote away. It does nothing if there is no such vote.
// The leader does not demote itself: see TransferLeadership. Leader only.
func (n *Node) Demote(ctx context.Context, peer string, seat uint64) error {
	s, ok := n.find(peer)
	if !ok || s.Seat != seat || !s.Voter {
		return n.leads()
	}
	id := seatID(peer, seat)
	if id == n.id {
		return fmt.Errorf("demote %s: it leads: %w", peer, ErrSeat)
	}
	return n.change(ctx, "demote "+id, func(timeout time.Duration) raft.IndexFuture {
		return n.raft.DemoteVoter(raft.ServerID(id), 0, timeout)
	})
}

// Remove takes a seat away, for ever. It does nothing if it is not taken. The
// leader does not remove itself: see TransferLeadership. Leader only.
func (n *Node) Remove(ctx context.Context, peer string, seat uint64) error {
	if s, ok := n.find(peer); !ok || s.Seat != seat {
		return n.leads()
	}
	id := seatID(peer, seat)
	if id == n.id {
		return fmt.Errorf("remove %s: it leads: %w", peer, ErrSeat)
	}
	return n.change(ctx, "remove "+id, func(timeout time.Duration) raft.IndexFuture {
		return n.raft.RemoveServer(raft.ServerID(id), 0, timeout)
	})
}

// change waits for a change of the seats to be committed.
func (n *Node) change(ctx context.Context, what string, do func(timeout time.Duration) raft.IndexFuture) error {
	err := n.leads()
	if err == nil {
		err = n.await(ctx, func() error { return do(n.cfg.Timing.Call).Error() })
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	n.wire.forget(n.raft.GetConfiguration().Configuration().Servers)
	n.wire.announce()
	n.watchers.notify()
	n.cfg.Log.Info("changed the seats", "change", what)
	return nil
}

// await runs one of raft's blocking calls until it returns or ctx is done.
func (n *Node) await(ctx context.Context, call func() error) error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		if errors.Is(err, raft.ErrEnqueueTimeout) {
			return fmt.Errorf("not started in time: %w", err)
		}
		return n.explain(err)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrAmbiguous, context.Cause(ctx))
	case <-n.store.Broken():
		return fmt.Errorf("%w: %w", ErrAmbiguous, n.store.Err())
	case <-n.closed:
		return fmt.Errorf("%w: %w", ErrAmbiguous, ErrClosed)
	}
}

// Barrier returns when all that was committed before is applied here. After an
// election the leader's machine is current only then. Leader only.
func (n *Node) Barrier(ctx context.Context) error {
	err := n.leads()
	if err == nil {
		err = n.await(ctx, func() error { return n.raft.Barrier(n.cfg.Timing.Call).Error() })
	}
	if err != nil {
		return fmt.Errorf("barrier: %w", err)
	}
	n.wire.announce()
	return nil
}

// VerifyLeader asks a majority whether this node still leads. What it has
// applied is then not older than the call.
func (n *Node) VerifyLeader(ctx context.Context) error {
	err := n.leads()
	if err == nil {
		defer n.wire.hurry()()
		err = n.await(ctx, func() error { return n.raft.VerifyLeader().Error() })
	}
	if err != nil {
		return fmt.Errorf("verify leader: %w", err)
	}
	return nil
}

// TransferLeadership hands leadership to the voter that is best prepared, and
// returns when this node no longer leads.
func (n *Node) TransferLeadership(ctx context.Context) error {
	if err := n.leads(); err != nil {
		return fmt.Errorf("transfer leadership: %w", err)
	}
	heir, ok := n.heir()
	if !ok {
		return errors.New("transfer leadership: no other voter answers")
	}
	id := seatID(heir.Peer, heir.Seat)
	err := n.await(ctx, func() error {
		return n.raft.LeadershipTransferToServer(raft.ServerID(id), raft.ServerAddress(id)).Error()
	})
	if err != nil {
		return fmt.Errorf("transfer leadership to %s: %w", id, err)
	}
	return nil
}

// heir returns the other voter that answered lately and has most of the log.
func (n *Node) heir() (heir Server, ok bool) {
	for _, s := range n.Servers() {
		if s.Voter && s.Peer != n.cfg.Peer && time.Until(s.Contact.Add(n.cfg.Timing.Heartbeat)) > 0 &&
			(!ok || s.Match > heir.Match) {
			heir, ok = s, true
		}
	}
	return heir, ok
}

// handOver transfers leadership, if there is any and somebody to take it, on
// the way out.
func (n *Node) handOver() {
	if n.leads() != nil {
		return
	}
	if _, ok := n.heir(); !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*n.cfg.Timing.Heartbeat) //nolint:forbidigo // Close takes no context
	defer cancel()
	if err := n.TransferLeadership(ctx); err != nil {
		n.cfg.Log.Warn("closing without an heir", "err", err)
	}
}

// progress returns what is known about a follower.
func (w *wire) progress(id raft.ServerID) (match uint64, contact time.Time) {
	f := w.follower(id)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.match, f.contact
}
