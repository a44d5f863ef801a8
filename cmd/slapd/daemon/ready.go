package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/protocol"
)

// Up is what a peer that has just come up knows of itself.
type Up struct {
	Status protocol.Status
	Socket string

	// Invitation is a token for the next computer, if one was asked for.
	Invitation *protocol.Token

	// Join is the line to type there.
	Join string
}

// Ready returns when the peer has its part in the mesh: it has read the
// ledger and something can be decided. With invite it makes a token for the
// next computer, where the mesh wants one: not where one may ask to join.
func (d *Daemon) Ready(ctx context.Context, invite bool) (Up, error) {
	s := &service{d, caller{principal: ledger.AsPeer(ledger.PeerID(d.mesh.Self()))}}
	up := Up{Socket: d.folder.file("slapd.sock")}
	d.books.awaitFresh(ctx)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var err error
		if up.Status, err = s.Status(ctx); err == nil && up.Status.Quorum && up.Status.Account != "" {
			break
		}
		select {
		case <-ctx.Done():
			return up, context.Cause(ctx)
		case <-tick.C:
		}
	}
	m, _ := d.books.View().Mesh()
	switch {
	case m.Open, m.Ask && invite:
		up.Join = d.askLine()
	case invite:
		token, err := s.CreateToken(ctx, protocol.TokenInput{})
		if err != nil {
			return up, err
		}
		up.Invitation, up.Join = &token, token.Join
	}
	return up, nil
}

// askLine is what to type where the fingerprint is enough.
func (d *Daemon) askLine() string {
	return fmt.Sprintf("slapd join %s#%s", d.joinAddress(), mesh.Fingerprint(d.mesh.Digest()))
}
