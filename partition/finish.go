package partition

import "github.com/slapmesh/slapmesh/ledger"

// An ending is how a step ended.
type ending struct {
	step      Step
	order     uint64 // that it was taken for
	result    Result
	err       error
	cancelled bool // by us: then a failure is no failure
}

// finish takes note of what a step brought about.
func (a *Agent) finish(e ending) {
	switch {
	case e.err == nil:
		a.cfg.Log.Info("done", "step", e.step.String())
	case e.cancelled:
		a.cfg.Log.Debug("step cancelled", "step", e.step.String())
	default:
		a.cfg.Log.Warn("step failed, it will be tried again", "step", e.step.String(), "err", e.err)
	}
	switch s := e.step.(type) {
	case Build:
		a.finishRelease(s.Release, e.result.Tree, e)
	case Drop:
		a.finishRelease(s.Release, "", e)
	case Start:
		a.finishStart(s, e)
	case Receive:
		a.finishReceive(s, e)
	case Return:
		a.finishReturn(s, e)
	case Ask:
		a.finishAsk(s, e)
	case Stop:
		a.finishStop(s, e)
	case Destroy:
		a.finishDestroy(s, e)
	}
}

func (a *Agent) finishRelease(d ledger.ReleaseDigest, tree string, e ending) {
	shelf := a.have.Releases[d]
	shelf.Busy, shelf.Progress = false, ""
	switch {
	case e.err == nil:
		shelf.Tree, shelf.Trial = tree, Trial{}
	case !e.cancelled:
		shelf.Trial = shelf.Trial.fail(a.cfg.Clock(), 0, e.err)
	}
	a.have.Releases[d] = shelf
}

func (a *Agent) finishStart(s Start, e ending) {
	n := s.Instance.Partition
	place := a.have.Places[n]
	place.Busy = false
	if e.err == nil {
		if place.Running { // that it was told anew does not undo what it said last
			a.unwatch(n)
		}
		place.Running, place.Release, place.Applied = true, s.Instance.Release, s.Instance.Order()
		place.Generation = s.Instance.Generation
		place.Spec, place.Connection, place.Ports, place.UDP = e.result.Spec, e.result.Connection, e.result.Ports, e.result.UDP
		place.Shared = e.result.Shared
		place.Requests, place.Lacks = e.result.Requests, lacking(e.result.Requests, s.Children)
		place.Trial = Trial{}
		place.Tried = goodOf(s)
		place.prove()
	}
	a.have.Places[n] = place
	a.failPlace(n, e)
}

func (a *Agent) finishStop(s Stop, e ending) {
	place := a.have.Places[s.Partition]
	place.Busy = false
	if e.err == nil {
		a.unwatch(s.Partition)
		place.Running, place.Applied, place.Status, place.Trial = false, 0, nil, Trial{}
	}
	a.have.Places[s.Partition] = place
	a.failPlace(s.Partition, e)
}

func (a *Agent) finishDestroy(s Destroy, e ending) {
	a.unwatch(s.Partition)
	if e.err == nil {
		delete(a.have.Places, s.Partition)
		return
	}
	place := a.have.Places[s.Partition]
	place.Busy, place.Running, place.Applied, place.Status = false, false, 0, nil
	a.have.Places[s.Partition] = place
	a.failPlace(s.Partition, e)
}

// failPlace counts a failure against a partition.
func (a *Agent) failPlace(n int, e ending) {
	if e.err == nil || e.cancelled {
		return
	}
	place := a.have.Places[n]
	place.Trial = place.Trial.fail(a.cfg.Clock(), e.order, e.err)
	a.have.Places[n] = place
}
