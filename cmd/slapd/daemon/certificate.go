package daemon

import (
	"context"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// staleCertificate is how long a certificate may say something else of this
// peer than the ledger, before another one is asked for again.
const staleCertificate = 30 * time.Second

// runCertificate has the certificate renewed when what it says is no longer
// so: that this peer may keep the ledger, or may not.
func (d *Daemon) runCertificate(ctx context.Context) error {
	changed, stop := d.books.Subscribe(ledger.TopicMembers())
	defer stop()
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		p, ok := d.books.View().Peer(ledger.PeerID(d.mesh.Self()))
		if ok && !p.Revoked && d.mesh.Vouched() && (p.Role == ledger.RoleVoter) != d.mesh.Keeper(d.mesh.Self()) {
			d.mesh.RenewSoon()
			again.Reset(staleCertificate)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-again.C:
		}
	}
}
