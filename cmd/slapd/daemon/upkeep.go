package daemon

import (
	"context"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
)

// What the leader has the ledger decide by the clock.

// upkeepTimeout is how long one of these decisions may take.
const upkeepTimeout = 5 * time.Second

// stopShort has the instances stopped of accounts that have spent too much
// for too long.
func (d *Daemon) stopShort(ctx context.Context, now time.Time) {
	for account := range d.books.View().Overdue(now) {
		if d.startedBy(account) {
			d.upkeep(ctx, ledger.StopShort{})
			return
		}
	}
}

// endKept has the instances destroyed whose data was kept long enough.
func (d *Daemon) endKept(ctx context.Context, now time.Time) {
	for range d.books.View().KeptUntil(now) {
		d.upkeep(ctx, ledger.EndKept{})
		return
	}
}

func (d *Daemon) startedBy(account ledger.AccountName) bool {
	for i := range d.books.View().Instances(account) {
		if i.Requested == ledger.InstanceStarted {
			return true
		}
	}
	return false
}

// raiseRules makes decisions follow the newest rules that all voters and
// standbys know.
func (d *Daemon) raiseRules(ctx context.Context) {
	m, ok := d.books.View().Mesh()
	s := d.books.Seat()
	if !ok || s == nil || m.Rules >= ledger.CurrentRules {
		return
	}
	known := uint64(ledger.CurrentRules)
	for _, server := range s.node.Servers() {
		if server.Peer == string(d.mesh.Self()) {
			continue
		}
		var heard Standing
		ask, cancel := context.WithTimeout(ctx, time.Second)
		err := d.rpc.call(ask, mesh.PeerID(server.Peer), standingPath, struct{}{}, &heard)
		cancel()
		if err != nil {
			return // who does not answer may be old
		}
		known = min(known, max(1, heard.Rules))
	}
	c := ledger.RaiseRules{Rules: known}
	if known >= ledger.RulesOfProjects {
		c.Secret = drawSecret()
	}
	if known > m.Rules {
		d.upkeep(ctx, c)
	}
}

func (d *Daemon) upkeep(ctx context.Context, c ledger.Command) {
	ctx, cancel := context.WithTimeout(ctx, upkeepTimeout)
	defer cancel()
	if _, err := d.books.Lead(ctx, ledger.System(), c); err != nil {
		d.log.Warn("upkeep failed, will try again", "kind", c.Kind(), "err", err)
	}
}
