package daemon

import (
	"context"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
)

// lostAfter is how long a computer may be silent before the leader has it
// marked lost: nothing new is placed there, and its instances show since when
// they cannot be reached. Nothing moves by itself.
const lostAfter = time.Minute

// runPresence tells the ledger, while this peer leads, which computers are
// silent and which are back, and keeps for all times the list of those that
// do not answer now.
func (d *Daemon) runPresence(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	changed := d.mesh.Watch()
	people, stop := d.books.Subscribe(ledger.TopicMembers())
	defer stop()
	leads := time.Time{} // since when
	for {
		members := d.mesh.Members()
		quiet := silent(members)
		d.quiet.Store(&quiet)
		d.expel(members)
		if d.books.hopeless() { // who led cannot be asked: the next command need not find out
			d.books.forward.Moved("")
		}
		switch now := d.cfg.Clock(); {
		case !d.books.Leads():
			leads = time.Time{}
		case leads.IsZero():
			leads = now
		default:
			d.markComputers(ctx, members, leads, now)
			d.stopShort(ctx, now)
			d.endKept(ctx, now)
			d.raiseRules(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-people:
		case <-tick.C:
		}
	}
}

// expel ends the connections of those who were removed from the mesh, and
// forgets those who left.
func (d *Daemon) expel(members []mesh.Member) {
	v := d.books.View()
	if _, ok := v.Mesh(); !ok {
		return
	}
	for _, m := range members {
		p, known := v.Peer(ledger.PeerID(m.ID))
		gone := !known && (m.State == mesh.StateLeft || m.State == mesh.StateFailed)
		if m.ID != d.mesh.Self() && (p.Revoked || gone) {
			d.log.Info("peer is no member any more", "peer", m.ID, "name", m.Name)
			d.mesh.Disconnect(m.ID)
		}
	}
}

func (d *Daemon) markComputers(ctx context.Context, members []mesh.Member, leads, now time.Time) {
	mark := presence(slices.Collect(d.books.View().Computers()), members, leads, now)
	if len(mark.Lost)+len(mark.Back) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := d.books.Lead(ctx, ledger.System(), mark); err != nil {
		d.log.Warn("cannot mark computers, will try again", "err", err)
	}
}

// presence decides which computers to mark. A peer that this one has never
// heard of counts as silent since it leads.
func presence(computers []ledger.Computer, members []mesh.Member, leads, now time.Time) ledger.MarkComputers {
	seen := make(map[ledger.ComputerID]mesh.Member, len(members))
	for _, m := range members {
		seen[ledger.ComputerID(m.ID)] = m
	}
	var mark ledger.MarkComputers
	for _, c := range computers {
		m, known := seen[c.ID]
		since := leads
		if known && m.Since.After(since) {
			since = m.Since
		}
		switch {
		case len(mark.Lost)+len(mark.Back) == ledger.MaxMarked:
			return mark // the rest comes next time
		case c.State == ledger.ComputerLost && known && m.State == mesh.StateAlive:
			mark.Back = append(mark.Back, c.ID)
		case c.State == ledger.ComputerOnline && (!known || m.State != mesh.StateAlive) && now.Sub(since) >= lostAfter:
			mark.Lost = append(mark.Lost, c.ID)
		}
	}
	return mark
}

// silent lists the computers of peers that do not answer.
func silent(members []mesh.Member) []ledger.ComputerID {
	var out []ledger.ComputerID
	for _, m := range members {
		if m.State != mesh.StateAlive && len(out) < ledger.MaxAvoid {
			out = append(out, ledger.ComputerID(m.ID))
		}
	}
	slices.Sort(out)
	return out
}

// silent lists the computers that a new instance should not be placed on
// right now.
func (d *Daemon) silent() []ledger.ComputerID {
	if quiet := d.quiet.Load(); quiet != nil {
		return *quiet
	}
	return nil
}
