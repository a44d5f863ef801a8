package daemon

import (
	"context"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
)

// staleCertificate is how long a certificate may say something else of this
// peer than the ledger, before another one is asked for again.
const staleCertificate = 30 * time.Second

// missingKey is how soon a voter looks again for the CA's key that it lacks.
const missingKey = 2 * time.Second

// runCertificate has the certificate renewed when what it says is no longer
// so: that this peer may keep the ledger, or may not, or who its CA is. It
// tells the mesh which CAs the ledger names, and has a voter hold the key.
func (d *Daemon) runCertificate(ctx context.Context) error {
	changed, stop := d.books.Subscribe(ledger.TopicMembers())
	defer stop()
	again := time.NewTimer(staleCertificate)
	defer again.Stop()
	holds := "" // the CA whose key this peer is known to hold
	for {
		v := d.books.View()
		m, _ := v.Mesh()
		stale, err := d.learnCAs(ctx, m.CAs, &holds)
		p, ok := v.Peer(ledger.PeerID(d.mesh.Self()))
		stale = stale || d.mesh.Vouched() && (p.Role == ledger.RoleVoter) != d.mesh.Keeper(d.mesh.Self())
		if ok && !p.Revoked && stale {
			d.mesh.RenewSoon()
			again.Reset(staleCertificate)
		}
		if err != nil {
			d.log.Warn("the CA's key is not here yet", "err", err)
			again.Reset(missingKey)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-d.books.roleChanged():
		case <-again.C:
		}
	}
}

// learnCAs tells the mesh which CAs the ledger names, and has a voter hold the
// key of the last, unless it holds that already. It reports whether this peer's
// certificate is of another one.
func (d *Daemon) learnCAs(ctx context.Context, cas []ledger.CA, holds *string) (stale bool, err error) {
	if len(cas) == 0 {
		return false, nil
	}
	if err := d.mesh.Trust(trusted(cas)); err != nil {
		d.log.Error("the ledger names a CA that is not the mesh's", "err", err)
	}
	last := cas[len(cas)-1].Certificate
	stale = !d.mesh.SignedBy(last)
	switch s := d.books.Seat(); {
	case s == nil:
		*holds = ""
	case *holds != string(last):
		if err := d.holdKey(ctx, s); err != nil {
			return stale, err
		}
		*holds = string(last)
	}
	return stale, nil
}

// trusted is what the mesh is told of the CAs in the ledger.
func trusted(cas []ledger.CA) []mesh.TrustedCA {
	var out []mesh.TrustedCA
	for _, c := range cas {
		out = append(out, mesh.TrustedCA{CertificateDER: c.Certificate, Until: c.Until})
	}
	return out
}
