package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/store"
)

const (
	// collectEvery is how often the store is looked through for what nobody
	// needs.
	collectEvery = 10 * time.Minute
	// treesBudget is how many bytes of trees, and of unpacked packages, may stay
	// that nobody needs now: the next release may.
	treesBudget = 8 << 30
	// scarce is how few free bytes make the budget nothing.
	scarce = 2 << 30
)

// runCollect removes what nobody needs from the store.
func (t *trees) runCollect(ctx context.Context) error {
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := t.collect(ctx); err != nil && ctx.Err() == nil {
			t.log.Warn("cannot collect what nobody needs", "err", err)
		}
	}
}

func (t *trees) collect(ctx context.Context) error {
	needed, err := t.needed(ctx)
	if err != nil {
		return fmt.Errorf("find out which releases are needed: %w", err) // nothing is removed then
	}
	budget := int64(treesBudget)
	if free, _, err := store.Free(t.store.Dir()); err == nil && free < scarce {
		budget = 0
	}
	removed, err := t.builder.Collect(ctx, needed, budget)
	if removed != (store.Collected{}) {
		t.log.Info("collected what nobody needs", "trees", removed.Trees, "packages", removed.Packages,
			"partial", removed.Partial, "files", removed.Files, "bytes", removed.Bytes)
	}
	return err
}

// needed lists the trees that must stay: of the releases that the ledger has on
// this computer in any state, and of what is in its partitions, whatever the
// ledger says of that.
func (t *trees) needed(ctx context.Context) (map[string]bool, error) {
	v, self := t.books.View(), ledger.ComputerID(t.mesh.Self())
	if _, ok := v.Peer(ledger.PeerID(self)); !ok {
		return nil, errors.New("this peer's copy of the ledger does not know it yet")
	}
	places, err := t.partitions.Look(ctx)
	if err != nil {
		return nil, err
	}
	releases := map[ledger.ReleaseDigest]bool{}
	for p := range v.Supplies(self) {
		releases[p.Release] = true
	}
	for i := range v.InstancesOn(self) {
		releases[i.Release] = true
	}
	for _, place := range places {
		if place.Release != "" {
			releases[place.Release] = true
		}
	}
	trees := map[string]bool{}
	for digest := range releases {
		r, err := t.loaded(ctx, digest)
		if err != nil {
			return nil, err
		}
		if tree, ok := t.builder.Recorded(r.Sources); ok {
			trees[tree] = true
		}
	}
	return trees, nil
}
