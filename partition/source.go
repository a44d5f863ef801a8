package partition

import (
	"context"
	"slices"

	"github.com/slapmesh/slapmesh/ledger"
)

// A Source says what this computer should be. The ledger is one.
type Source interface {
	// Wanted returns what is wanted now. It fails while that is not known:
	// an empty answer means that nothing is wanted.
	Wanted(ctx context.Context) (Wanted, error)

	// Changed receives a value when it is worth asking again. Values may be
	// dropped; a slow reader misses nothing but time.
	Changed() <-chan struct{}
}

// A Reporter tells the ledger what this computer observed.
type Reporter interface {
	// Report returns when the report is recorded for good. A report that
	// failed may have been recorded all the same.
	Report(ctx context.Context, r ledger.Report) error
}

// Wanted is what the ledger wants of a computer. Its records are shared and
// must not be changed.
type Wanted struct {
	Instances []ledger.Instance   // that hold a partition here, at most one each
	Shared    []ledger.Instance   // that are inside one of those
	Gone      []ledger.Instance   // that were, and were destroyed lately
	Children  []ledger.Instance   // that those here requested, wherever they are
	Ended     []ledger.InstanceID // that were destroyed lately, as the ledger says
	Supplies  []ledger.Supply
	Versions  map[ledger.ReleaseDigest]string // of what Children run
	Profiles  map[ledger.ReleaseDigest][]byte // of the above, as far as they are here
}

// WantedOf returns what a state of the ledger wants of a computer.
func WantedOf(s *ledger.State, computer ledger.ComputerID) Wanted {
	w := Wanted{Profiles: make(map[ledger.ReleaseDigest][]byte), Versions: make(map[ledger.ReleaseDigest]string)}
	need := func(d ledger.ReleaseDigest) {
		if p, ok := s.Profile(d); ok {
			w.Profiles[d] = p
		}
	}
	for i := range s.InstancesOn(computer) {
		w.Instances = append(w.Instances, i)
		need(i.Release)
		w.Shared = slices.AppendSeq(w.Shared, s.SharedOn(i.ID))
		w.Gone = slices.AppendSeq(w.Gone, s.GoneFrom(i.ID))
		for c := range s.Children(i.ID) {
			if !c.Settled() {
				r, _ := s.Release(c.Release)
				w.Children, w.Versions[c.Release] = append(w.Children, c), r.Version
			}
		}
	}
	for i := range s.EndedOn(computer) {
		w.Ended = append(w.Ended, i.ID)
	}
	for p := range s.Supplies(computer) {
		w.Supplies = append(w.Supplies, p)
		need(p.Release)
	}
	return w
}
