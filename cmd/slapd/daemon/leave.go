package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/remote"
)

// leave takes this peer out of the mesh: the ledger is told, then the others,
// and Run ends. What the peer kept for the mesh is removed by Close.
func (d *Daemon) leave(ctx context.Context, force bool) error {
	if _, err := d.books.Propose(ctx, remote.Credential{}, ledger.Leave{Force: force}); err != nil {
		return wireError(err)
	}
	if err := d.mesh.Leave(ctx); err != nil {
		d.log.Warn("cannot say goodbye; the others will find out", "err", err)
	}
	d.gone.Store(true)
	d.log.Info("left the mesh")
	time.AfterFunc(goodbye, d.stop)
	return nil
}

// goodbye is how long the answer to who asked for it has to get away before
// the doors close.
const goodbye = 200 * time.Millisecond

// wipeTimeout bounds how long the instances of a peer that left may take to
// end.
const wipeTimeout = time.Minute

// wipe removes what a peer that left kept for its mesh, instances included.
// Its identity, its settings and the releases that it built stay.
func (d *Daemon) wipe() error {
	ctx, cancel := context.WithTimeout(context.Background(), wipeTimeout) //nolint:forbidigo // Run's context has ended by now
	defer cancel()
	var errs []error
	places, err := d.partitions.Look(ctx)
	errs = append(errs, err)
	for n := range places {
		if err := d.partitions.Destroy(ctx, n); err != nil {
			errs = append(errs, fmt.Errorf("destroy what runs in %s: %w", ledger.PartitionName(n), err))
		}
	}
	for _, name := range []string{
		"credentials.json", "ca.key", "ca.next", "peers.cbor", "seat.json", "consensus", "slice", foundingFile, actedFile, "slapd.sock",
	} {
		errs = append(errs, os.RemoveAll(d.folder.file(name)))
	}
	return errors.Join(errs...)
}
