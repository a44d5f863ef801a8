package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/partition/build"
	"github.com/slapmesh/slapmesh/partition/fetch"
	"github.com/slapmesh/slapmesh/partition/store"
)

// A trees is what this computer has built, or taken from who has: it gives it
// to computers that the ledger wants to have it, and asks others for what is
// wanted here.
type trees struct {
	*Daemon
	store   *store.Store
	builder *build.Builder

	verifying sync.Mutex // held by who reads all of it
}

// openTrees gives built releases to other peers.
func (d *Daemon) openTrees(context.Context) error {
	if d.trees == nil {
		return nil // the computer is not a real one
	}
	streams := d.mesh.Listen(mesh.KindTrees)
	serve := fetch.ServeConfig{Store: d.trees.store, Clock: d.cfg.Clock, Find: d.trees.find, Log: d.log.With("part", "trees")}
	d.loops = append(d.loops,
		loop{"trees for others", func(ctx context.Context) error { return fetch.Serve(ctx, streams, serve) }},
		loop{"trees that nobody needs", d.trees.runCollect},
	)
	return nil
}

// find returns a tree for a peer whose computer is ordered to have it.
func (t *trees) find(ctx context.Context, to net.Conn, key string) (attestation []byte, tree string, err error) {
	v, peer := t.books.View(), mesh.PeerOf(to)
	ordered := orderedOn(v, ledger.ComputerID(peer))
	if len(ordered) == 0 || t.releaseOf(ctx, ordered, key) == "" {
		return nil, "", errors.New("the ledger orders no release made of this for your computer")
	}
	attestation, tree, err = t.builder.Attested(key)
	if err != nil {
		return nil, "", errors.New("it is not built here for this architecture")
	}
	return attestation, tree, nil
}

// orderedOn lists the releases that a computer should have.
func orderedOn(v *ledger.State, computer ledger.ComputerID) []ledger.ReleaseDigest {
	wanted := map[ledger.ReleaseDigest]bool{}
	for p := range v.Supplies(computer) {
		wanted[p.Release] = p.Requested == ledger.SupplyAvailable
	}
	for i := range v.InstancesOn(computer) {
		wanted[i.Release] = true
	}
	maps.DeleteFunc(wanted, func(_ ledger.ReleaseDigest, is bool) bool { return !is })
	return slices.Sorted(maps.Keys(wanted))
}

// releaseOf returns which of the releases is made of the sources of a key.
func (t *trees) releaseOf(ctx context.Context, among []ledger.ReleaseDigest, key string) ledger.ReleaseDigest {
	for _, digest := range among {
		if r, err := t.loaded(ctx, digest); err == nil && t.builder.Key(r.Sources) == key {
			return digest
		}
	}
	return ""
}

// waitForBuilder is how long a computer that builds nothing waits for one that
// does.
const (
	waitForBuilder = 10 * time.Minute
	askTreesAgain  = 2 * time.Second
)

// Fetch implements [build.Elsewhere]. While another computer is building what
// this one cannot build, it waits.
func (t *trees) Fetch(ctx context.Context, key string, report func(build.Progress)) ([]byte, error) {
	never := t.settings.NoBuild != nil && *t.settings.NoBuild
	until := t.cfg.Clock().Add(waitForBuilder)
	for {
		data, err := t.fetch(ctx, key, report)
		if !errors.Is(err, build.ErrNowhere) || !never || ctx.Err() != nil || t.cfg.Clock().After(until) {
			return data, err
		}
		report(build.Progress{Step: build.StepFetch, Message: "waiting for a computer of the same architecture to build it: this one builds nothing"})
		if err := t.rest(ctx); err != nil {
			return nil, err
		}
	}
}

// rest waits before others are asked again.
func (t *trees) rest(ctx context.Context) error {
	timer := time.NewTimer(askTreesAgain)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (t *trees) fetch(ctx context.Context, key string, report func(build.Progress)) ([]byte, error) {
	v := t.books.View()
	digest := t.releaseOf(ctx, orderedOn(v, ledger.ComputerID(t.mesh.Self())), key)
	if digest == "" {
		return nil, build.ErrNowhere
	}
	sources := t.sources(v, digest)
	if len(sources) == 0 {
		return nil, build.ErrNowhere
	}
	c := fetch.Client{Store: t.store, Clock: t.cfg.Clock, Accept: t.accept, Log: t.log.With("part", "trees")}
	_, attestation, err := c.Fetch(ctx, key, sources, func(p fetch.Progress) {
		report(build.Progress{Step: build.StepFetch, Bytes: p.Bytes, Size: p.Size, Rate: p.Rate})
	})
	if errors.Is(err, fetch.ErrNone) {
		return nil, build.ErrNowhere
	}
	return attestation, err
}

// sources lists the peers whose computers have a release, as the ledger says:
// those that are here in an order of their own for each who asks.
func (t *trees) sources(v *ledger.State, digest ledger.ReleaseDigest) []fetch.Source {
	alive := map[mesh.PeerID]bool{}
	for _, m := range t.mesh.Members() {
		alive[m.ID] = m.State == mesh.StateAlive && m.ID != t.mesh.Self()
	}
	var out []fetch.Source
	for p := range v.SuppliesOf(digest) {
		peer := mesh.PeerID(p.Computer)
		if p.State != ledger.SupplyAvailable || !alive[peer] {
			continue
		}
		out = append(out, fetch.Source{Name: peer.Short(), Dial: func(ctx context.Context) (net.Conn, error) {
			return t.mesh.Dial(ctx, peer, mesh.KindTrees)
		}})
	}
	rand.Shuffle(len(out), func(a, b int) { out[a], out[b] = out[b], out[a] })
	return out
}

// accept believes an attestation if whoever signed it is trusted here.
func (t *trees) accept(key string, data []byte) (tree string, err error) {
	a, err := build.OpenAttestation(data)
	switch {
	case err != nil:
		return "", err
	case a.Key != key:
		return "", errors.New("attestation: it is of other sources")
	case mesh.PeerID(a.Builder) != mesh.PeerIDOf(a.Public):
		return "", errors.New("attestation: it is not signed by whom it names")
	}
	if err := believes(t.books.View(), ledger.PeerID(t.mesh.Self()), ledger.PeerID(a.Builder)); err != nil {
		return "", err
	}
	return a.Tree, nil
}

// believes tells whether a computer runs what another one says it has built.
// Nobody can see from a tree that it is what its sources give. In a private mesh
// all were invited; in an open one only computers of one's own account and of
// the operator's count.
func believes(v *ledger.State, self, builder ledger.PeerID) error {
	m, _ := v.Mesh()
	p, ok := v.Peer(builder)
	switch own, _ := v.Peer(self); {
	case !ok:
		return fmt.Errorf("it was built by %.12s, who is not of this mesh", string(builder))
	case p.Revoked:
		return fmt.Errorf("it was built by %.12s, who was removed from the mesh", string(builder))
	case !m.Open, p.Account == own.Account, p.Account == m.Operator:
		return nil
	}
	return fmt.Errorf("it was built by a computer of %s: in an open mesh only those of one's own account and of the operator's are believed", p.Account)
}
