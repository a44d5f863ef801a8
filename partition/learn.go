package partition

import (
	"context"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// look finds what earlier agents left, and learns what is wanted. It fails
// only when ctx is done.
func (a *Agent) look(ctx context.Context) error {
	for failures := 1; ; failures++ {
		places, err := a.cfg.Host.Look(ctx)
		if err == nil {
			a.have.Places = places
			break
		}
		a.cfg.Log.Warn("cannot look at the partitions", "err", err)
		if err := wait(ctx, backoff(failures)); err != nil {
			return err
		}
	}
	for n, place := range a.have.Places {
		if place.Running {
			a.watch(ctx, n)
		}
	}
	a.learn(ctx)
	return ctx.Err()
}

// learn asks what is wanted now, and what is built of it.
func (a *Agent) learn(ctx context.Context) {
	w, err := a.cfg.Source.Wanted(ctx)
	if err != nil {
		if ctx.Err() == nil {
			a.cfg.Log.Debug("not known yet what is wanted", "err", err)
		}
		return
	}
	a.wanted, a.known = w, true
	needed := make(map[ledger.ReleaseDigest]bool) // of those named, whether it should be here
	held := make(map[int]ledger.Instance)
	for _, s := range w.Supplies {
		needed[s.Release] = s.Requested == ledger.SupplyAvailable
	}
	for _, i := range w.Instances {
		needed[i.Release] = true
		held[i.Partition] = i
	}
	for d := range needed {
		if _, ok := a.have.Releases[d]; ok {
			continue
		}
		if profile, ok := w.Profiles[d]; ok {
			tree, _ := a.cfg.Host.Built(profile)
			a.have.Releases[d] = Shelf{Tree: tree}
		}
	}
	for d, shelf := range a.have.Releases {
		if _, ok := needed[d]; !ok && !shelf.Busy {
			delete(a.have.Releases, d)
		}
	}
	a.release(held, needed)
	a.told.forget(w)
}

// release notes which partitions nobody wants, and cancels what is under way
// for nobody any more.
func (a *Agent) release(held map[int]ledger.Instance, needed map[ledger.ReleaseDigest]bool) {
	for n, place := range a.have.Places {
		_, ok := held[n]
		switch {
		case ok:
			place.Lost = time.Time{}
		case place.Lost.IsZero():
			place.Lost = a.cfg.Clock()
			a.cfg.Log.Warn("partition holds an instance that the ledger does not know", "partition", n)
		}
		a.have.Places[n] = place
	}
	for _, t := range a.doing {
		switch s := t.step.(type) {
		case Build:
			if !needed[s.Release] {
				t.cancel()
			}
		case Receive:
			if i, ok := held[s.Instance.Partition]; !ok || i.ID != s.Instance.ID || i.Requested == ledger.InstanceDestroyed {
				t.cancel()
			}
		case Stop: // may take minutes, and another wish came
			if i, ok := held[s.Partition]; ok && i.Order() != t.order {
				t.cancel()
			}
		}
	}
}
