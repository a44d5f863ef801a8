package daemon

import (
	"context"
	"errors"
	"net/http"

	"golang.org/x/mod/sumdb/note"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/journal"
	"github.com/slapmesh/slapmesh/ledger/journal/exchange"
	"github.com/slapmesh/slapmesh/mesh"
)

// openHistory exchanges history with the other peers: what is missing here,
// and signed checkpoints.
func (d *Daemon) openHistory() error {
	identity, err := mesh.LoadOrCreateIdentity(d.folder.path)
	if err != nil {
		return err
	}
	signer, err := journal.NewSigner(string(d.mesh.Self()), identity.PublicKey(), identity.Sign)
	if err != nil {
		return err
	}
	x := exchange.New(exchange.Config{
		Journal: d.journal,
		HTTP:    roundTripper{d},
		Keepers: d.keepers,
		Peers:   d.compared,
		Replicates: func(r *http.Request) bool {
			p, ok := d.books.View().Peer(ledger.PeerID(callerOf(r)))
			return ok && !p.Revoked && p.Role == ledger.RoleVoter
		},
		Holds:  d.holdsHistory,
		Trust:  func() (journal.Trust, error) { return trustOf(d.books.View(), false) },
		Signer: signer,
		Log:    d.log.With("part", "history"),
	})
	d.rpc.mux.Handle(exchange.Prefix, x.Handler())
	d.history = x
	d.loops = append(d.loops, loop{"history", func(ctx context.Context) error { return d.damagedBy(x.Run(ctx)) }})
	return nil
}

// holdsHistory reports whether this peer writes history.
func (d *Daemon) holdsHistory() bool {
	d.books.mu.Lock()
	defer d.books.mu.Unlock()
	return d.books.seated
}

// keepers lists the other peers that hold the ledger.
func (d *Daemon) keepers() []string {
	self, out := string(d.mesh.Self()), []string(nil)
	for p := range d.books.View().Peers() {
		if p.Seat > 0 && !p.Revoked && string(p.ID) != self {
			out = append(out, string(p.ID))
		}
	}
	return out
}

// compared lists the peers with which history is compared: those that are
// there.
func (d *Daemon) compared() []string {
	var out []string
	for _, m := range d.mesh.Members() {
		if m.ID != d.mesh.Self() && (m.State == mesh.StateAlive || m.State == mesh.StateSuspect) {
			out = append(out, string(m.ID))
		}
	}
	return out
}

// trustOf says whose checkpoints count: those of peers that have a seat or,
// to check what was signed long ago, had one.
func trustOf(v *ledger.State, past bool) (journal.Trust, error) {
	m, ok := v.Mesh()
	if !ok {
		return journal.Trust{}, errors.New("the ledger is not known yet")
	}
	var known []note.Verifier
	for p := range v.Peers() {
		if p.Seat == 0 || p.Revoked && !past {
			continue
		}
		verifier, err := journal.NewVerifier(string(p.ID), p.PublicKey)
		if err != nil {
			return journal.Trust{}, err
		}
		known = append(known, verifier)
	}
	return journal.Trust{Origin: originOf(m), Verifiers: note.VerifierList(known...)}, nil
}

// originOf names the history of a mesh.
func originOf(m ledger.Mesh) string { return "slapmesh/" + m.ID }
