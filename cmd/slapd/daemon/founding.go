package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/slapmesh/slapmesh/consensus"
	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
)

// runFounding finishes what [Found] began: it starts the log of a new mesh
// and proposes its first command. A founding that was cut short at any point
// goes on here.
func (d *Daemon) runFounding(ctx context.Context) error {
	var plan founding
	switch err := readJSON(d.folder.file(foundingFile), &plan); {
	case errors.Is(err, fs.ErrNotExist):
		<-ctx.Done()
		return nil
	case err != nil:
		return err
	}
	if err := d.foundMesh(ctx, plan); err != nil && ctx.Err() == nil {
		return fmt.Errorf("found mesh %s: %w", plan.Name, err)
	}
	<-ctx.Done()
	return nil
}

func (d *Daemon) foundMesh(ctx context.Context, plan founding) error {
	s := d.books.Seat()
	if s == nil {
		return errors.New("the first seat is missing: found the mesh anew in another folder")
	}
	if err := s.node.Bootstrap(); err != nil {
		return err
	}
	identity, err := mesh.LoadOrCreateIdentity(d.folder.path)
	if err != nil {
		return err
	}
	c := ledger.Found{
		Rules: ledger.CurrentRules, Secret: drawSecret(),
		Name: plan.Name, ID: d.mesh.ID(), Open: plan.Open, Ask: plan.Ask, Account: plan.Account,
		Peer: ledger.PeerID(d.mesh.Self()), PeerName: d.settings.Name, PublicKey: identity.PublicKey(), FirstAddress: plan.FirstAddress,
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := d.books.Lead(ctx, ledger.System(), c)
		if err == nil {
			return os.Remove(d.folder.file(foundingFile))
		}
		if !errors.Is(err, consensus.ErrNotLeader) && !errors.Is(err, consensus.ErrAmbiguous) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// drawSecret returns what hides what the journal does not tell.
func drawSecret() []byte {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails
	return secret
}
