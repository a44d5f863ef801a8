package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/slapmesh/slapmesh/consensus"
	"github.com/slapmesh/slapmesh/consensus/voters"
	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
)

// Who votes is decided by package voters and done here: by the leader, which
// gives and takes seats, and by the peer that is given one.

// seatPath is where the leader offers a seat, standingPath where anybody may
// ask how things are.
const (
	seatPath     = "/v1/seat"
	standingPath = "/v1/standing"
)

// The rhythm of seating: how often it looks without being told, how
// soon again and for how long after something changed, how long a
// step may take, and how long a seat may be silent before its peer asks
// whether it still has it.
const (
	seatingInterval = 2 * time.Second
	seatingRetry    = 50 * time.Millisecond
	seatingBusy     = 3 * time.Second
	seatingTimeout  = 30 * time.Second
	silentSeat      = 10 * time.Second
)

// An offer of a seat carries the CA's key: who votes may have to sign.
type seatOffer struct {
	Seat uint64 `json:"seat"`
	CA   []byte `json:"ca"`
}

// runSeating gives and takes seats while this peer leads, and otherwise makes
// sure that this peer still has the seat that it keeps.
func (d *Daemon) runSeating(ctx context.Context) error {
	tick := time.NewTimer(seatingInterval)
	defer tick.Stop()
	members := d.mesh.Watch()
	busy := time.Time{} // until then the next step is near
	leads := time.Time{}
	for {
		took := false
		var err error
		switch {
		case !d.books.Leads():
			leads = time.Time{}
			err = d.checkSeat(ctx)
		case leads.IsZero():
			leads = d.cfg.Clock()
			fallthrough
		default:
			took, err = d.seatOnce(ctx, leads)
		}
		if err != nil && ctx.Err() == nil {
			d.log.Debug("seats are not as wanted yet", "err", err)
		}
		now := d.cfg.Clock()
		if took {
			busy = now.Add(seatingBusy)
		}
		tick.Reset(seatingInterval)
		if err != nil || now.Before(busy) { // a standby that catches up is not announced
			tick.Reset(seatingRetry)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-members:
		case <-d.books.roleChanged():
		case <-tick.C:
		}
	}
}

// seatOnce takes the next step there is, and reports whether it took one. This
// peer leads since a moment.
func (d *Daemon) seatOnce(ctx context.Context, since time.Time) (bool, error) {
	s := d.books.Seat()
	if s == nil {
		return false, nil
	}
	if _, settled := s.node.Heard(); !settled {
		return false, nil // its view may lack who has which seat
	}
	now := d.cfg.Clock()
	step := voters.Decide(candidates(s.View(), d.mesh.Members(), since), seats(s.node, now), now, d.cfg.Voters)
	if step.Action == voters.None {
		return d.renumber(ctx, s, now)
	}
	ctx, cancel := context.WithTimeout(ctx, seatingTimeout)
	defer cancel()
	if err := d.doStep(ctx, s, step); err != nil {
		return false, fmt.Errorf("%s: %w", step, err)
	}
	d.log.Info("seats changed", "step", step.String())
	return true, nil
}

// renumber gives a new seat number to a peer that is there and does not have
// the seat that the log knows: it lost its disk, or set aside a damaged copy. Its
// old seat is then taken away, and it is a candidate again.
func (d *Daemon) renumber(ctx context.Context, s *seat, now time.Time) (bool, error) {
	for _, m := range d.mesh.Members() {
		for _, server := range s.node.Servers() {
			if server.Peer != string(m.ID) || m.ID == d.mesh.Self() || m.State != mesh.StateAlive || now.Sub(server.Contact) < silentSeat {
				continue
			}
			var heard Standing
			ask, cancel := context.WithTimeout(ctx, time.Second)
			err := d.rpc.call(ask, m.ID, standingPath, struct{}{}, &heard)
			cancel()
			if err != nil || heard.Own == nil || *heard.Own == server.Seat {
				continue
			}
			_, err = d.books.Lead(ctx, ledger.System(), ledger.AssignSeat{Peer: ledger.PeerID(m.ID)})
			if err == nil {
				d.log.Warn("a peer has lost its seat, and is given another", "peer", m.ID, "seat", server.Seat)
			}
			return err == nil, err
		}
	}
	return false, nil
}

func (d *Daemon) doStep(ctx context.Context, s *seat, step voters.Step) error {
	switch step.Action {
	case voters.AddStandby:
		return d.addStandby(ctx, s, step.Peer)
	case voters.Promote:
		return s.node.Promote(ctx, step.Peer, step.Seat)
	case voters.Demote:
		return s.node.Demote(ctx, step.Peer, step.Seat)
	case voters.Remove:
		return s.node.Remove(ctx, step.Peer, step.Seat)
	case voters.Transfer:
		return s.node.TransferLeadership(ctx)
	case voters.None:
	}
	return nil
}

// addStandby gives a peer a new seat: the ledger numbers it, the peer opens
// an empty log for it, and the log begins to fill that.
func (d *Daemon) addStandby(ctx context.Context, s *seat, peer string) error {
	index, err := d.books.Lead(ctx, ledger.System(), ledger.AssignSeat{Peer: ledger.PeerID(peer)})
	if err != nil {
		return err
	}
	if err := s.WaitIndex(ctx, index); err != nil {
		return err
	}
	p, _ := s.View().Peer(ledger.PeerID(peer))
	ca, err := d.currentCA()
	if err != nil {
		return err
	}
	key, err := ca.Marshal()
	if err != nil {
		return err
	}
	if err := d.rpc.call(ctx, mesh.PeerID(peer), seatPath, seatOffer{p.Seat, key}, &struct{}{}); err != nil {
		return err
	}
	return s.node.AddStandby(ctx, peer, p.Seat)
}

// candidates lists the peers of the ledger with what gossip says of them. One of
// which it says nothing yet is away since this peer leads.
func candidates(v *ledger.State, members []mesh.Member, leads time.Time) []voters.Candidate {
	heard := make(map[ledger.PeerID]mesh.Member, len(members))
	for _, m := range members {
		heard[ledger.PeerID(m.ID)] = m
	}
	var out []voters.Candidate
	for p := range v.Peers() {
		m, known := heard[p.ID]
		if !known {
			m.Since = leads
		}
		computer, _ := v.Computer(ledger.ComputerID(p.ID))
		out = append(out, voters.Candidate{
			Peer:      string(p.ID),
			Site:      computer.Labels["site"],
			Eligible:  p.Role == ledger.RoleVoter && !p.Revoked && m.State != mesh.StateLeft,
			Reachable: known && m.State == mesh.StateAlive,
			Since:     m.Since,
			Seat:      p.Seat,
		})
	}
	return out
}

// seats lists the seats of the log for the voters' policy.
func seats(n *consensus.Node, now time.Time) []voters.Seat {
	status := n.Status()
	var out []voters.Seat
	for _, s := range n.Servers() {
		leader := s.Peer == status.Leader
		out = append(out, voters.Seat{
			Peer: s.Peer, Seat: s.Seat, Voter: s.Voter, Leader: leader,
			Current: leader || s.Match+maxBehind >= status.CommitIndex && now.Sub(s.Contact) < 5*time.Second,
		})
	}
	return out
}

// maxBehind is how many entries a standby may lack and still count as
// current.
const maxBehind = 64

// serveSeating lets the leader offer this peer a seat, and others ask.
func (d *Daemon) serveSeating() {
	handle(d.rpc, seatPath, func(_ context.Context, caller mesh.PeerID, in seatOffer) (struct{}, error) {
		return struct{}{}, d.sit(caller, in) //nolint:contextcheck // a seat outlives the call
	})
	d.serveAgreement()
	handle(d.rpc, standingPath, func(ctx context.Context, _ mesh.PeerID, _ struct{}) (Standing, error) {
		standing, own := d.books.Consensus(ctx), uint64(0)
		if s := d.books.Seat(); s != nil {
			own = s.number
		}
		standing.Own = &own
		return standing, nil
	})
}

// sit takes the seat that the leader offers.
func (d *Daemon) sit(caller mesh.PeerID, in seatOffer) error {
	leader, ok := d.books.View().Peer(ledger.PeerID(caller))
	if ok && (leader.Role != ledger.RoleVoter || leader.Revoked) {
		return &ledger.Refusal{Code: ledger.ErrForbidden, Detail: fmt.Sprintf("seat: %s is not a voter", caller)}
	}
	ca, err := d.ofThisMesh(in.CA)
	if err != nil {
		return err
	}
	if err := ca.Save(d.folder.path, d.identity); err != nil {
		return err
	}
	return d.books.sit(in.Seat, caller)
}

// checkSeat gives up a seat that the log no longer knows. Who was away while
// it was taken would otherwise wait for ever to hear of it.
func (d *Daemon) checkSeat(ctx context.Context) error {
	s := d.books.Seat()
	if s == nil {
		return nil
	}
	status := s.node.Status()
	silent := status.Leader == "" || d.cfg.Clock().Sub(status.LastContact) > silentSeat
	if status.State != consensus.StateUnseated && !silent || d.cfg.Clock().Sub(s.since) < silentSeat {
		return nil
	}
	for _, m := range d.mesh.Members() {
		if m.State != mesh.StateAlive || m.ID == d.mesh.Self() || d.mayVote(m.ID) != nil {
			continue
		}
		var other Standing
		ask, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := d.rpc.call(ask, m.ID, standingPath, struct{}{}, &other)
		cancel()
		if err != nil || !other.Leads || other.Term < status.Term {
			continue
		}
		if !other.seats(string(d.mesh.Self()), s.number) {
			d.log.Info("seat was taken away", "seat", s.number)
			return d.books.stand(s) //nolint:contextcheck // what was begun is finished
		}
		return nil
	}
	return nil
}
