package partition

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/release"
)

// A Step is one change to the computer.
type Step interface {
	fmt.Stringer

	// Do makes the change. Doing it twice is the same as doing it once.
	Do(ctx context.Context, h Host) (Result, error)
}

// A Result is what a step brought about, as far as it is not plain from the
// step itself.
type Result struct {
	Tree string // of Build

	// Of Start: what the supervisor was told, and what is to be published.
	Spec       string
	Connection map[string]string
	Ports      map[string]uint16
	UDP        []string                             // names of ports
	Metrics    []release.Metric                     // what is to be counted of the instance
	Shared     map[ledger.InstanceID]release.Served // nil if the release serves none
	Requests   []release.Request                    // the instances that it needs
}

// Build makes the tree of a release.
type Build struct {
	Release  ledger.ReleaseDigest
	Profile  []byte
	Progress func(string) // may be nil
}

// Drop removes the tree of a release.
type Drop struct {
	Release ledger.ReleaseDigest
	Tree    string
}

// Start makes an instance be as it should in its partition: it launches the
// supervisor if there is none, and tells it what to do.
type Start struct {
	Instance ledger.Instance
	Profile  []byte
	Tree     string
	Shared   []ledger.Instance   // inside it
	Gone     []ledger.InstanceID // that were, and were destroyed lately
	Children []ledger.Instance   // that it requested
}

// Stop ends what runs in a partition. Its data stays.
type Stop struct{ Partition int }

// Destroy removes all that a partition holds.
type Destroy struct{ Partition int }

func (s Build) String() string { return "build " + short(s.Release) }
func (s Drop) String() string  { return "drop " + short(s.Release) }
func (s Start) String() string {
	return fmt.Sprintf("start %s of %s in p%d", s.Instance.ID, short(s.Instance.Release), s.Instance.Partition)
}
func (s Stop) String() string    { return fmt.Sprintf("stop p%d", s.Partition) }
func (s Destroy) String() string { return fmt.Sprintf("destroy p%d", s.Partition) }

// short returns enough of a digest to tell it from others.
func short(d ledger.ReleaseDigest) string { return fmt.Sprintf("%.19s", string(d)) }

// Do builds the release.
func (s Build) Do(ctx context.Context, h Host) (Result, error) {
	tree, err := h.Build(ctx, s.Profile, s.Progress)
	return Result{Tree: tree}, err
}

// Do drops the tree.
func (s Drop) Do(ctx context.Context, h Host) (Result, error) { return Result{}, h.Drop(ctx, s.Tree) }

// Do starts the instance.
func (s Start) Do(ctx context.Context, h Host) (Result, error) {
	return h.Start(ctx, s)
}

// Do stops the partition.
func (s Stop) Do(ctx context.Context, h Host) (Result, error) {
	return Result{}, h.Stop(ctx, s.Partition)
}

// Do destroys what is in the partition.
func (s Destroy) Do(ctx context.Context, h Host) (Result, error) {
	return Result{}, h.Destroy(ctx, s.Partition)
}

// Plan lists the steps that can be taken at now from what is to what should
// be: builds first, then whatever frees, then starts. Steps of one plan do
// not depend on one another. An empty plan means that there is nothing to do,
// or that what is under way has to end first.
func Plan(w Wanted, have Inventory, now time.Time) []Step {
	p := planner{w: w, have: have, now: now, wanted: make(map[int]bool), used: make(map[string]bool)}
	for _, i := range sorted(w.Instances) {
		p.wanted[i.Partition] = true
		p.used[have.Releases[i.Release].Tree] = true
		p.used[have.Places[i.Partition].Good.Tree] = true
		p.planInstance(i)
	}
	for _, s := range w.Supplies {
		if s.Requested == ledger.SupplyAvailable {
			p.used[have.Releases[s.Release].Tree] = true
			p.planBuild(s.Release)
		}
	}
	for _, s := range w.Supplies {
		if s.Requested == ledger.SupplyDestroyed {
			p.planDrop(s.Release)
		}
	}
	p.planOrphans()
	return slices.Concat(p.builds, p.frees, p.starts)
}

type planner struct {
	w      Wanted
	have   Inventory
	now    time.Time
	wanted map[int]bool    // partitions that an instance holds
	used   map[string]bool // trees that are needed

	builds, frees, starts []Step
	building              map[ledger.ReleaseDigest]bool
}

// sorted returns instances by partition, so that equal inputs give equal
// plans.
func sorted(instances []ledger.Instance) []ledger.Instance {
	return slices.SortedFunc(slices.Values(instances), func(a, b ledger.Instance) int { return a.Partition - b.Partition })
}

// planInstance takes the next step for one instance.
func (p *planner) planInstance(i ledger.Instance) {
	place, exists := p.have.Places[i.Partition]
	if place.Busy || !place.Trial.ready(p.now, i.Order()) {
		return
	}
	switch {
	case place.Instance != 0 && place.Instance != i.ID:
		p.frees = append(p.frees, Destroy{i.Partition}) // what another left
	case i.Requested == ledger.InstanceDestroyed:
		if exists {
			p.frees = append(p.frees, Destroy{i.Partition})
		}
	case i.Requested == ledger.InstanceStopped:
		if place.Running {
			p.frees = append(p.frees, Stop{i.Partition})
		} else if !place.received(i) {
			p.planReceive(i)
		}
	case !place.received(i) && place.Running: // who was to take it ended in the middle
		p.frees = append(p.frees, Stop{i.Partition})
	case !place.received(i):
		p.planReceive(i)
	default:
		p.planStart(i, place)
	}
}

// planStart takes the next step towards a started instance.
func (p *planner) planStart(i ledger.Instance, place Place) {
	if place.returned(i) {
		p.planReturn(i, place)
		return
	}
	if why, ok := place.fails(i); ok {
		p.frees = append(p.frees, Return{i, why})
		return
	}
	shelf := p.have.Releases[i.Release]
	if shelf.Tree == "" {
		p.planBuild(i.Release) // the old version runs on until the new one is there
		return
	}
	if place.Running && place.Release != i.Release {
		p.frees = append(p.frees, Stop{i.Partition}) // its root is another tree
		return
	}
	profile, ok := p.w.Profiles[i.Release]
	if !ok {
		return
	}
	if place.Running && place.Applied == i.Order() {
		p.planAsk(i, place)
		return
	}
	if place.Trial.Permanent && place.Trial.For == i.Order() {
		return
	}
	p.starts = append(p.starts, p.start(i, profile, shelf.Tree))
}

// start returns the step that makes an instance run with what is inside it.
func (p *planner) start(i ledger.Instance, profile []byte, tree string) Start {
	s := Start{Instance: i, Profile: profile, Tree: tree, Children: p.w.childrenOf(i.ID)}
	for _, shared := range p.w.Shared {
		if shared.Host == i.ID {
			s.Shared = append(s.Shared, shared)
		}
	}
	for _, gone := range p.w.Gone {
		if gone.Host == i.ID {
			s.Gone = append(s.Gone, gone.ID)
		}
	}
	return s
}

// planBuild builds a release that is not there.
func (p *planner) planBuild(d ledger.ReleaseDigest) {
	shelf := p.have.Releases[d]
	profile, ok := p.w.Profiles[d]
	if !ok || shelf.Tree != "" || shelf.Busy || p.building[d] || !shelf.Trial.ready(p.now, 0) {
		return
	}
	if p.building == nil {
		p.building = make(map[ledger.ReleaseDigest]bool)
	}
	p.building[d] = true
	p.builds = append(p.builds, Build{Release: d, Profile: profile})
}

// planDrop removes a release that nobody needs. Its tree stays if another
// release has the same.
func (p *planner) planDrop(d ledger.ReleaseDigest) {
	shelf := p.have.Releases[d]
	if shelf.Tree == "" || shelf.Busy || p.used[shelf.Tree] || p.running(d) || !shelf.Trial.ready(p.now, 0) {
		return
	}
	p.frees = append(p.frees, Drop{d, shelf.Tree})
}

// running says whether a supervisor still has the release's tree as its root.
func (p *planner) running(d ledger.ReleaseDigest) bool {
	for _, place := range p.have.Places {
		if place.Running && place.Release == d {
			return true
		}
	}
	return false
}

// planOrphans destroys what the ledger says was destroyed, while this computer
// was away, and stops instances that the ledger has not known for a while. What
// those hold stays until their partition is given to another: to lose data, a
// mistaken ledger must have said so twice.
func (p *planner) planOrphans() {
	for _, n := range slices.Sorted(maps.Keys(p.have.Places)) {
		place := p.have.Places[n]
		if !p.wanted[n] && !place.Busy && place.Trial.ready(p.now, 0) && place.Instance != 0 && slices.Contains(p.w.Ended, place.Instance) {
			p.frees = append(p.frees, Destroy{n})
			continue
		}
		if p.wanted[n] || !place.Running || place.Busy || place.Lost.IsZero() || p.now.Before(place.Lost.Add(orphanGrace)) {
			continue
		}
		p.frees = append(p.frees, Stop{n})
	}
}

// NextLook returns when time alone will change the plan, or zero.
func NextLook(have Inventory, now time.Time) time.Time {
	var next time.Time
	at := func(t time.Time) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, place := range have.Places {
		at(place.Trial.Next)
		for _, t := range place.nextAsk() {
			at(t)
		}
		if place.Running && !place.Lost.IsZero() {
			at(place.Lost.Add(orphanGrace))
		}
	}
	for _, shelf := range have.Releases {
		at(shelf.Trial.Next)
	}
	return next
}
