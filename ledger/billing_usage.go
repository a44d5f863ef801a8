package ledger

import (
	"math/bits"
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
)

// ReportUsage bills what the instances of a computer used. It does not matter
// who brings the report: the computer has signed it.
type ReportUsage struct {
	Signed SignedUsage `cbor:"1,keyasint"`
}

// Kind returns "report-usage".
func (ReportUsage) Kind() string { return "report-usage" }

// clockSkew is how far ahead a computer's clock may be.
const clockSkew = time.Minute

// forgedPause is how often at most a wrong signature is told of.
const forgedPause = time.Hour

func (c ReportUsage) decide(s *State, x Context) ([]Event, error) {
	if err := s.billable("usage report"); err != nil {
		return nil, err
	}
	var claimed UsageReport
	if len(c.Signed.Report) > MaxUsageBytes || decode(c.Signed.Report, &claimed) != nil {
		return nil, refuse(ErrInvalid, "usage report: at most %d bytes in the form of a report expected", MaxUsageBytes)
	}
	peer, ok := s.Peer(PeerID(claimed.Computer))
	if !ok {
		return nil, refuse(ErrNotFound, "usage report: computer %.80q is not known", string(claimed.Computer))
	}
	meter := s.Meter(claimed.Computer)
	r, err := c.Signed.Open(peer.PublicKey)
	if err != nil {
		if x.At.Sub(meter.Forged) < forgedPause {
			return nil, err
		}
		meter.Forged = x.At
		return []Event{Metered{Meter: meter, Reason: "wrong signature"}}, err
	}
	return s.decideUsage(r, meter, x.At)
}

// decideUsage decides on a report that is its computer's. One that is next and
// wrong is refused for good: it counts as come, lest the rest wait for ever.
func (s *State) decideUsage(r UsageReport, meter Meter, at time.Time) ([]Event, error) {
	mesh, _ := s.Mesh()
	switch {
	case r.Mesh != mesh.ID:
		return nil, refuse(ErrForbidden, "usage report %d of %s: it is for another mesh", r.Number, r.Computer)
	case r.Number == 0:
		return nil, refuse(ErrInvalid, "usage report of %s: numbers begin with 1", r.Computer)
	case r.Number < meter.Next:
		return nil, nil // billed, or refused, long ago
	case r.To.After(at.Add(clockSkew)): // not for good: its time may come
		return nil, refuse(ErrUnavailable, "usage report %d of %s ends at %s, which is to come: set the computer's clock", r.Number, r.Computer, r.To.UTC().Format(time.RFC3339))
	}
	if _, held := s.held.get(heldKey(r.Computer, r.Number)); held {
		return nil, nil
	}
	if r.Number > meter.Next {
		return s.hold(r, meter)
	}
	till := newTill(s)
	now, events, err := till.bill(meter, r)
	events = append(events, Metered{Meter: now, Reason: reasonOf(err)})
	for { // those that waited for it
		next, ok := s.held.get(heldKey(r.Computer, now.Next))
		if !ok {
			return events, err
		}
		var lines []Event
		var wrong error
		now, lines, wrong = till.bill(now, next.Report)
		now.Held--
		events = append(append(events, lines...), Metered{Meter: now, Free: next.Number, Reason: reasonOf(wrong)})
	}
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// hold keeps a report until those before it have come.
func (s *State) hold(r UsageReport, meter Meter) ([]Event, error) {
	if err := s.checkUsage(r, meter); err != nil {
		return nil, err // it will be refused for good when it is next
	}
	entries := len(r.Entries)
	for _, h := range s.held.within(string(r.Computer)) {
		entries += len(h.Report.Entries)
	}
	if meter.Held >= MaxHeldReports || entries > MaxHeldEntries {
		return nil, refuse(ErrUnavailable, "usage report %d of %s: too many wait for report %d: send that first", r.Number, r.Computer, meter.Next)
	}
	meter.Held++
	return []Event{Metered{Meter: meter, Hold: &heldUsage{r.Computer, r.Number, r}}}, nil
}

// bill bills a report whose turn it is, or says why not. Either way the meter
// goes on.
func (t *till) bill(meter Meter, r UsageReport) (Meter, []Event, error) {
	meter.Next++
	trial, events := t.copy(), []Event(nil)
	err := t.state.checkUsage(r, meter)
	for _, e := range r.Entries {
		if err != nil {
			break
		}
		var b Billed
		if b, err = trial.billEntry(r, e); err == nil {
			err = trial.take(b.Transfer)
			events = append(events, b)
		}
		if err == nil {
			events = append(events, trial.billPlaces(r, e.Instance)...)
		}
	}
	if err != nil {
		meter.Refused++
		return meter, nil, err
	}
	*t = *trial
	meter.To = r.To
	return meter, events, nil
}

// charge returns a bill as it will be.
func (t *till) charge(id InstanceID) (Charge, bool) {
	if c, ok := t.charges[id]; ok {
		return c, true
	}
	return t.state.Charge(id)
}

// billEntry bills the usage of one instance.
func (t *till) billEntry(r UsageReport, e UsageEntry) (Billed, error) {
	c, _ := t.charge(e.Instance)
	from, to := r.From, r.To
	if from.Before(c.Billed) {
		from = c.Billed
	}
	if !c.Open() && to.After(c.Until) {
		to = c.Until
		if c.Cut {
			e.Usage = e.Usage.part(to.Sub(r.From), r.To.Sub(r.From))
		}
	}
	used := book.Quantities{
		Core: e.Usage.Core, Memory: e.Usage.Memory, Disk: e.Usage.Disk, Network: e.Usage.Network,
		Partition: uint64(max(0, to.Sub(from))), Metrics: e.Usage.Metrics,
	}
	if i, _ := t.state.Instance(e.Instance); i.Shared && c.Host == "" {
		used.Partition = 0 // its host's
	}
	now, transfer, err := t.state.bill(c, used, r.From, to)
	if err == nil {
		t.charges[e.Instance] = now
	}
	return Billed{now, r.Number, r.From, r.To, used, transfer}, err
}

// checkUsage refuses a report that cannot be true.
func (s *State) checkUsage(r UsageReport, meter Meter) error {
	wrong := func(format string, args ...any) error {
		return refuse(ErrInvalid, "usage report %d of %s: "+format, append([]any{r.Number, r.Computer}, args...)...)
	}
	period := r.To.Sub(r.From)
	switch {
	case period <= 0 || period > MaxUsagePeriod:
		return wrong("from %s to %s: up to %v expected", r.From.UTC().Format(time.RFC3339), r.To.UTC().Format(time.RFC3339), MaxUsagePeriod)
	case r.From.Before(meter.To):
		return wrong("it begins at %s, before the last one ended", r.From.UTC().Format(time.RFC3339))
	case len(r.Entries) > MaxUsageEntries:
		return wrong("%d entries, at most %d", len(r.Entries), MaxUsageEntries)
	}
	computer, _ := s.Computer(r.Computer)
	var core uint64
	for n, e := range r.Entries {
		c, ok := s.Charge(e.Instance)
		switch {
		case n > 0 && r.Entries[n-1].Instance >= e.Instance:
			return wrong("instance %s is not in order, or twice", e.Instance)
		case !ok || c.Computer != r.Computer:
			return refuse(ErrForbidden, "usage report %d of %s: instance %s is not on that computer", r.Number, r.Computer, e.Instance)
		case !c.From.Before(r.To) || !c.Open() && !c.Until.After(r.From):
			return wrong("instance %s did not run then", e.Instance)
		case len(e.Usage.Metrics) > MaxMetrics:
			return wrong("instance %s: %d metrics, at most %d", e.Instance, len(e.Usage.Metrics), MaxMetrics)
		}
		if err := s.checkMetrics(c, e.Usage.Metrics); err != nil {
			return wrong("instance %s: %v", e.Instance, err)
		}
		if core += e.Usage.Core; core < e.Usage.Core {
			return wrong("the core time is out of range")
		}
		if most := byteSeconds(computer.Memory, period); most > 0 && e.Usage.Memory > most {
			return wrong("instance %s used more memory than the computer has", e.Instance)
		}
		if most := byteSeconds(computer.Disk, period); most > 0 && e.Usage.Disk > most {
			return wrong("instance %s used more disk than the computer has", e.Instance)
		}
	}
	cores := uint64(computer.Cores)
	if cores == 0 {
		cores = MaxCores
	}
	// The kernel accounts in steps, so a little more is no lie.
	if most := cores * uint64((period + time.Second).Microseconds()); core > most+most/20 {
		return wrong("%v of core time in %v on %d.%03d cores", time.Duration(core), period, cores/1000, cores%1000)
	}
	return nil
}

// byteSeconds is how much of so many bytes can be used in a period, with a
// twentieth on top, or 0 if that is not known.
func byteSeconds(bytes int64, period time.Duration) uint64 {
	if bytes <= 0 {
		return 0
	}
	const milli = 1000
	hi, lo := bits.Mul64(uint64(bytes), uint64(period.Milliseconds()+milli)/20*21)
	if hi >= milli {
		return 0
	}
	most, _ := bits.Div64(hi, lo, milli)
	return most
}

// checkMetrics refuses metrics that nobody could read, or more of them than a
// bill has.
func (s *State) checkMetrics(c Charge, metrics map[string]uint64) error {
	if !s.knowsProjects() {
		return nil
	}
	known := len(c.Used.Metrics)
	for _, name := range sortedKeys(metrics) {
		if err := checkName("metric", name, MaxName); err != nil {
			return err
		}
		if _, ok := c.Used.Metrics[name]; !ok {
			known++
		}
	}
	if known > MaxMetrics {
		return refuse(ErrInvalid, "%d metrics on one bill, at most %d", known, MaxMetrics)
	}
	return nil
}
