package partition

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// A mouth tells the ledger what changed, one report at a time, each with all
// that is new then.
type mouth struct {
	talking   bool
	careful   int // reports to come with one entry each, for one of many was refused
	failures  int
	next      time.Time // not before
	instances map[ledger.InstanceID]said[ledger.InstanceReport]
	supplies  map[ledger.ReleaseDigest]said[ledger.SupplyReport]
}

// A said is what was told last, and when.
type said[T any] struct {
	what T
	at   time.Time
}

// viewLag is how long the ledger's view may take to show what it was told.
// What it does not show by then is told again.
const viewLag = 5 * time.Second

func newMouth() mouth {
	return mouth{
		instances: make(map[ledger.InstanceID]said[ledger.InstanceReport]),
		supplies:  make(map[ledger.ReleaseDigest]said[ledger.SupplyReport]),
	}
}

// tell begins a report of what the ledger does not know, unless one is under
// way. It returns when it should be called again at the latest, or zero.
func (a *Agent) tell(ctx context.Context, now time.Time) time.Time {
	if a.told.talking {
		return time.Time{}
	}
	news, waiting := a.told.news(Reports(a.wanted, a.have), a.wanted, now)
	if a.told.careful > 0 {
		news = first(news)
	}
	if len(news.Instances)+len(news.Supplies) == 0 {
		if waiting {
			return now.Add(viewLag)
		}
		return time.Time{}
	}
	if now.Before(a.told.next) {
		return a.told.next
	}
	a.told.talking = true
	a.tasks.Go(func() {
		err := a.cfg.Reporter.Report(ctx, news)
		a.send(func() {
			a.told.talking = false
			a.heard(news, err)
		})
	})
	return time.Time{}
}

// refusedAgain is when an entry that the ledger refused is told again.
const refusedAgain = time.Minute

// heard takes note of what became of a report. One that was refused as a
// whole is told again entry by entry, so that a bad one holds up no other.
func (a *Agent) heard(news ledger.Report, err error) {
	now, entries := a.cfg.Clock(), len(news.Instances)+len(news.Supplies)
	a.told.careful = max(0, a.told.careful-1)
	switch {
	case err == nil:
		a.told.failures, a.told.next = 0, time.Time{}
		a.told.remember(news, now)
	case refused(err) && entries == 1:
		a.cfg.Log.Error("report refused", "err", err)
		a.told.remember(news, now.Add(refusedAgain-viewLag))
	case refused(err):
		a.told.careful = entries
	default:
		a.told.failures++
		a.told.next = now.Add(min(backoff(a.told.failures)/5, 5*time.Second))
		a.cfg.Log.Warn("report failed, it will be tried again", "err", err)
	}
}

// refused says whether the ledger decided against a report, so that telling
// the same again is of no use.
func refused(err error) bool {
	for _, code := range []ledger.Code{ledger.ErrInvalid, ledger.ErrConflict, ledger.ErrForbidden} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// first returns the first entry of a report that has one.
func first(r ledger.Report) ledger.Report {
	if len(r.Instances) > 0 {
		return ledger.Report{Instances: r.Instances[:1]}
	}
	return ledger.Report{Supplies: r.Supplies[:min(1, len(r.Supplies))]}
}

// news returns what of r the ledger does not know: what its view does not
// show, and was not told lately. If waiting, the view has yet to show some.
func (m *mouth) news(r ledger.Report, w Wanted, now time.Time) (news ledger.Report, waiting bool) {
	instances := make(map[ledger.InstanceID]ledger.Instance, len(w.Instances))
	for _, i := range slices.Concat(w.Instances, w.Shared) {
		instances[i.ID] = i
	}
	supplies := make(map[ledger.ReleaseDigest]ledger.Supply, len(w.Supplies))
	for _, s := range w.Supplies {
		supplies[s.Release] = s
	}
	for _, n := range r.Instances {
		before, ok := m.instances[n.ID]
		switch {
		case knownInstance(instances[n.ID], n):
		case ok && sameInstance(before.what, n) && now.Sub(before.at) < viewLag:
			waiting = true
		case len(news.Instances) < ledger.MaxReports/2:
			news.Instances = append(news.Instances, n)
		}
	}
	for _, n := range r.Supplies {
		before, ok := m.supplies[n.Release]
		s := supplies[n.Release]
		switch {
		case s.State == n.State && s.Progress == n.Progress && s.Error == n.Error:
		case ok && before.what == n && now.Sub(before.at) < viewLag:
			waiting = true
		case len(news.Supplies) < ledger.MaxReports/2:
			news.Supplies = append(news.Supplies, n)
		}
	}
	return news, waiting
}

// remember keeps what was told.
func (m *mouth) remember(r ledger.Report, now time.Time) {
	for _, n := range r.Instances {
		m.instances[n.ID] = said[ledger.InstanceReport]{n, now}
	}
	for _, n := range r.Supplies {
		m.supplies[n.Release] = said[ledger.SupplyReport]{n, now}
	}
}

// forget drops what is about things that are not wanted any more.
func (m *mouth) forget(w Wanted) {
	instances := make(map[ledger.InstanceID]bool, len(w.Instances))
	for _, i := range slices.Concat(w.Instances, w.Shared) {
		instances[i.ID] = true
	}
	supplies := make(map[ledger.ReleaseDigest]bool, len(w.Supplies))
	for _, s := range w.Supplies {
		supplies[s.Release] = true
	}
	maps.DeleteFunc(m.instances, func(id ledger.InstanceID, _ said[ledger.InstanceReport]) bool { return !instances[id] })
	maps.DeleteFunc(m.supplies, func(d ledger.ReleaseDigest, _ said[ledger.SupplyReport]) bool { return !supplies[d] })
}

func sameInstance(a, b ledger.InstanceReport) bool {
	return a.Generation == b.Generation && a.State == b.State && a.Reason == b.Reason && a.Healthy == b.Healthy &&
		(b.Connection == nil || maps.Equal(a.Connection, b.Connection)) &&
		(b.Ports == nil || maps.Equal(a.Ports, b.Ports) && slices.Equal(a.UDP, b.UDP))
}

func knownInstance(i ledger.Instance, r ledger.InstanceReport) bool {
	return i.Generation == r.Generation && i.State == r.State && i.Reason == r.Reason && i.Healthy == r.Healthy &&
		(r.Connection == nil || maps.Equal(i.Connection, r.Connection)) &&
		(r.Ports == nil || maps.Equal(i.Ports, r.Ports) && slices.Equal(i.UDP, r.UDP))
}
