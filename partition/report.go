package partition

import (
	"strings"
	"unicode/utf8"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// Reports says what the ledger should know of every instance and supply that
// it wants here. Of an instance that was found running, and has not been
// asked yet how it is, it says nothing: what the ledger knows still holds.
func Reports(w Wanted, have Inventory) ledger.Report {
	var r ledger.Report
	for _, i := range sorted(w.Instances) {
		if place := have.Places[i.Partition]; i.Requested == ledger.InstanceStarted && found(i, place) {
			continue
		}
		r.Instances = append(r.Instances, reportInstance(i, w, have))
	}
	r.Instances = append(r.Instances, reportShared(w, have)...)
	for _, s := range w.Supplies {
		shelf := have.Releases[s.Release]
		if s.Requested == ledger.SupplyDestroyed && (shelf.Tree != "" || shelf.Busy) && shelf.Trial.Failures == 0 {
			continue // it is going, and there is no word for that
		}
		r.Supplies = append(r.Supplies, reportSupply(s, w, have))
	}
	return r
}

// found says whether i was found running and not been asked yet how it is.
func found(i ledger.Instance, place Place) bool {
	return place.Instance == i.ID && place.Running && place.Trial.Failures == 0 &&
		(place.Applied == 0 || place.Applied == i.Order() && place.Status == nil)
}

// reportInstance says what one instance is.
func reportInstance(i ledger.Instance, w Wanted, have Inventory) ledger.InstanceReport {
	r := ledger.InstanceReport{ID: i.ID, Generation: i.Generation}
	place, exists := have.Places[i.Partition]
	mine := exists && (place.Instance == i.ID || place.Instance == 0)
	failing := place.Trial.Failures > 0 && place.Trial.For == i.Order()
	switch {
	case i.Requested == ledger.InstanceDestroyed && !mine:
		r.State = ledger.InstanceDestroyed
	case i.Requested == ledger.InstanceDestroyed:
		r.State = ledger.InstanceStopping
	case i.Requested == ledger.InstanceStopped && mine && place.Running:
		r.State = ledger.InstanceStopping
	case i.Requested == ledger.InstanceStopped:
		r.State = ledger.InstanceStopped
		return r
	default:
		reportStarted(&r, i, w, have)
	}
	if failing && place.failed(i) == "" {
		r.Reason = clip(place.Trial.Why)
		r.Healthy = false
		if place.Trial.hopeless() {
			r.State = ledger.InstanceError
		}
	}
	return r
}

// reportStarted says how far an instance is that should be started.
func reportStarted(r *ledger.InstanceReport, i ledger.Instance, w Wanted, have Inventory) {
	place, shelf := have.Places[i.Partition], have.Releases[i.Release]
	_, known := w.Profiles[i.Release]
	switch {
	case place.Instance == i.ID && place.returned(i):
		reportReturned(r, i, place)
	case place.Instance == i.ID && place.failed(i) != "":
		r.State, r.Reason = ledger.InstanceStarting, clip("the release before is started again, for "+short(i.Release)+" failed: "+place.failed(i))
	case shelf.Tree == "" && shelf.Trial.Failures > 0 && shelf.Trial.hopeless():
		r.State, r.Reason = ledger.InstanceError, clip(shelf.Trial.Why)
	case shelf.Tree == "" && shelf.Busy:
		r.State, r.Reason = ledger.InstanceBuilding, clip(shelf.Progress)
	case shelf.Tree == "" && shelf.Trial.Failures > 0:
		r.State, r.Reason = ledger.InstanceBuilding, clip("tried again soon: "+shelf.Trial.Why)
	case !known:
		r.State, r.Reason = ledger.InstanceWaiting, "the profile of the release has not arrived"
	case shelf.Tree == "":
		r.State = ledger.InstanceBuilding
	case !place.received(i):
		r.State, r.Reason = ledger.InstanceStarting, clip(place.Progress)
	case place.Instance != i.ID || !place.Running || place.Applied != i.Order() && place.Generation != i.Generation ||
		place.Status == nil || place.Status.Spec != place.Spec:
		r.State = ledger.InstanceStarting
	case len(place.Lacks) > 0:
		reportWaiting(r, place, w.childrenOf(i.ID))
	default:
		reportStatus(r, place)
	}
}

// reportStatus says what a supervisor says.
func reportStatus(r *ledger.InstanceReport, place Place) {
	r.Reason = clip(place.Status.Reason)
	switch place.Status.Phase {
	case supervisor.PhaseStarted:
		r.State, r.Healthy = ledger.InstanceStarted, place.Status.Healthy
		r.Connection, r.Ports, r.UDP = place.Connection, place.Ports, place.UDP
	case supervisor.PhaseError:
		r.State = ledger.InstanceError
	case supervisor.PhaseStopping, supervisor.PhaseStopped:
		r.State = ledger.InstanceStarting // somebody else stopped it: it is started again
	default:
		r.State = ledger.InstanceStarting
	}
}

// reportSupply says how far a supply is.
func reportSupply(s ledger.Supply, w Wanted, have Inventory) ledger.SupplyReport {
	r := ledger.SupplyReport{Release: s.Release}
	shelf := have.Releases[s.Release]
	_, known := w.Profiles[s.Release]
	switch {
	case s.Requested == ledger.SupplyDestroyed && shelf.Tree == "" && !shelf.Busy:
		r.State = ledger.SupplyDestroyed
	case s.Requested == ledger.SupplyDestroyed:
		r.State, r.Error = ledger.SupplyAvailable, clip(shelf.Trial.Why)
	case shelf.Tree != "":
		r.State = ledger.SupplyAvailable
	case shelf.Busy:
		r.State, r.Progress, r.Error = ledger.SupplyBuilding, clip(shelf.Progress), clip(shelf.Trial.Why)
	case shelf.Trial.Failures > 0:
		r.State, r.Error = ledger.SupplyError, clip(shelf.Trial.Why)
	case !known:
		r.State, r.Progress = ledger.SupplyWaiting, "the profile of the release has not arrived"
	default:
		r.State = ledger.SupplyWaiting
	}
	return r
}

// clip makes a reason fit the ledger.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= ledger.MaxReason {
		return s
	}
	end := ledger.MaxReason - len("…")
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
