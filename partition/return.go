package partition

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// A Good is what an instance ran as when it was last started with all its
// promises held: what it returns to if another release fails.
type Good struct {
	Release    ledger.ReleaseDigest // empty: nothing is known to be good
	Profile    []byte
	Tree       string
	Type       string
	Parameters map[string]json.RawMessage
}

// A Failure is a release that failed, and to which an instance does not go
// again before something else is wanted of it.
type Failure struct {
	Release    ledger.ReleaseDigest
	Generation uint64
	Why        string
}

// Return ends a release that failed; the one before is started next.
type Return struct {
	Instance ledger.Instance
	Why      string
}

// String names the instance and the release that failed.
func (s Return) String() string {
	return fmt.Sprintf("return %s in p%d from %s", s.Instance.ID, s.Instance.Partition, short(s.Instance.Release))
}

// Do stops what failed.
func (s Return) Do(ctx context.Context, h Host) (Result, error) {
	return Result{}, h.Stop(ctx, s.Instance.Partition)
}

// goodOf is what a start made, should it turn out to be good.
func goodOf(s Start) Good {
	return Good{Release: s.Instance.Release, Profile: s.Profile, Tree: s.Tree, Type: s.Instance.Type, Parameters: s.Instance.Parameters}
}

// prove takes note that what a place runs is good, once its supervisor says
// so.
func (p *Place) prove() {
	if p.Status != nil && p.Status.Spec == p.Spec && p.Status.Phase == supervisor.PhaseStarted && p.Status.Healthy && len(p.Lacks) == 0 {
		p.Good = p.Tried
	}
}

// returned says whether an instance was brought back to the release before.
func (p Place) returned(i ledger.Instance) bool {
	return p.Good.Release != "" && p.Failed.Release == i.Release && p.Failed.Generation == i.Generation
}

// fails says why a release that took the place of a good one has to go again.
func (p Place) fails(i ledger.Instance) (why string, ok bool) {
	if p.Good.Release == "" || p.Good.Release == i.Release {
		return "", false
	}
	switch tried := p.Trial.Failures > 0 && p.Trial.For == i.Order(); {
	case !p.Running && tried && p.Trial.hopeless():
		return p.Trial.Why, true
	case !p.Running || p.Release != i.Release || p.Applied != i.Order() || p.Status == nil || p.Status.Spec != p.Spec:
		return "", false
	case p.Status.Phase == supervisor.PhaseError:
		return p.Status.Reason, true
	}
	return "", false
}

// failed is why an instance is about to go back; empty if it is not.
func (p Place) failed(i ledger.Instance) string {
	why, ok := p.fails(i)
	if ok && why == "" {
		why = "it does not start"
	}
	return why
}

// planReturn takes the next step back to what was good.
func (p *planner) planReturn(i ledger.Instance, place Place) {
	good := place.Good
	switch {
	case place.Running && place.Release != good.Release:
		p.frees = append(p.frees, Stop{i.Partition})
		return
	case place.Running && place.Applied == i.Order():
		p.planAsk(i, place)
		return
	}
	i.Release, i.Type, i.Parameters = good.Release, good.Type, good.Parameters
	p.starts = append(p.starts, p.start(i, good.Profile, good.Tree))
}

// finishReturn takes note that a release has failed.
func (a *Agent) finishReturn(s Return, e ending) {
	a.finishStop(Stop{s.Instance.Partition}, e)
	if e.err != nil {
		return
	}
	place := a.have.Places[s.Instance.Partition]
	place.Failed = Failure{s.Instance.Release, s.Instance.Generation, s.Why}
	a.have.Places[s.Instance.Partition] = place
	a.cfg.Log.Warn("release failed, the one before is started again", "instance", s.Instance.ID, "failed", s.Instance.Release, "good", place.Good.Release, "why", s.Why)
}

// reportReturned says that another release runs than the one that is wanted.
func reportReturned(r *ledger.InstanceReport, i ledger.Instance, place Place) {
	why := fmt.Sprintf("%s failed: %s", short(i.Release), place.Failed.Why)
	again := place.Running && (place.Applied == i.Order() || place.Generation == i.Generation) && place.Status != nil && place.Status.Spec == place.Spec
	if !again || place.Status.Phase != supervisor.PhaseStarted && place.Status.Phase != supervisor.PhaseError {
		r.State, r.Reason = ledger.InstanceStarting, clip("the release before is started again, for "+why)
		return
	}
	r.State, r.Reason = ledger.InstanceError, clip("the release before runs again, for "+why)
	if place.Status.Phase == supervisor.PhaseStarted {
		r.Healthy = place.Status.Healthy
		r.Connection, r.Ports = place.Connection, place.Ports
	}
}
