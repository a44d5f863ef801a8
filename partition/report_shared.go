package partition

import (
	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// reportShared says what the shared instances are whose host is started. Of
// those whose host is being told anew it says nothing: what the ledger knows
// still holds.
func reportShared(w Wanted, have Inventory) (reports []ledger.InstanceReport) {
	hosts := make(map[ledger.InstanceID]ledger.Instance)
	for _, i := range w.Instances {
		hosts[i.ID] = i
	}
	for _, i := range w.Shared {
		host, r := hosts[i.Host], ledger.InstanceReport{ID: i.ID, Generation: i.Generation}
		place := have.Places[host.Partition]
		switch {
		case host.Requested != ledger.InstanceStarted:
			if i.Requested != ledger.InstanceStopped {
				continue // the ledger says so itself
			}
			r.State = ledger.InstanceStopped // nobody gets in
		case place.Instance != host.ID || !place.Running || place.Applied != host.Order() || place.Status == nil || place.Status.Spec != place.Spec:
			continue
		default:
			reportServed(&r, i, place)
		}
		reports = append(reports, r)
	}
	return reports
}

// reportServed says what a host that was told of a shared instance makes of
// it.
func reportServed(r *ledger.InstanceReport, i ledger.Instance, place Place) {
	served, told := place.Shared[i.ID]
	good := place.Status.Phase == supervisor.PhaseStarted && place.Status.Healthy
	switch {
	case place.Shared == nil:
		r.State, r.Reason = ledger.InstanceError, clip("the release "+i.ReleaseName+", which its host runs, serves no shared instances")
	case !told:
		r.State = ledger.InstanceWaiting
	case served.Fault != "":
		r.State, r.Reason = ledger.InstanceError, clip(served.Fault)
	case i.Requested == ledger.InstanceStopped && good:
		r.State = ledger.InstanceStopped
	case i.Requested == ledger.InstanceStopped:
		r.State, r.Reason = ledger.InstanceStopping, clip("its host: "+place.Status.Reason)
	case good:
		r.State, r.Healthy = ledger.InstanceStarted, true
		r.Connection, r.Ports, r.UDP = served.Published, place.Ports, place.UDP
	case i.State == ledger.InstanceStarted: // it was good
		r.State, r.Reason = ledger.InstanceStarted, clip("its host: "+place.Status.Reason)
	case place.Status.Phase == supervisor.PhaseError:
		r.State, r.Reason = ledger.InstanceError, clip("its host: "+place.Status.Reason)
	default:
		r.State, r.Reason = ledger.InstanceStarting, clip("its host: "+place.Status.Reason)
	}
}
