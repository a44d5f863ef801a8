package meter

import (
	"maps"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// A period is what was used since the last report. Reports are told the time
// of day; how long a period is says the clock that does not go back.
type period struct {
	Number uint64        `cbor:"1,keyasint"` // of its report
	From   time.Time     `cbor:"2,keyasint"`
	Boot   string        `cbor:"3,keyasint,omitempty"` // names the life of the clock of Opened and Now
	Opened time.Duration `cbor:"4,keyasint,omitempty"`
	Now    time.Duration `cbor:"5,keyasint,omitempty"` // of the last look

	Used map[ledger.InstanceID]amount `cbor:"6,keyasint,omitempty"`
}

// length returns how long the period is so far.
func (p period) length() time.Duration { return p.Now - p.Opened }

// used adds an amount to what an instance used.
func (p *period) used(id ledger.InstanceID, a amount) {
	if p.Used == nil {
		p.Used = make(map[ledger.InstanceID]amount)
	}
	sum := p.Used[id]
	sum.Metrics = maps.Clone(sum.Metrics)
	sum.add(a)
	p.Used[id] = sum
}

// cut divides a period that is longer than most into one of just that length
// and the rest, as if all had been used evenly.
func (p period) cut(most time.Duration) (first, rest period) {
	if p.length() <= most {
		return p, period{Boot: p.Boot, Opened: p.Now, Now: p.Now}
	}
	first, rest = p, p
	first.Now, rest.Opened = p.Opened+most, p.Opened+most
	first.Used, rest.Used = make(map[ledger.InstanceID]amount), make(map[ledger.InstanceID]amount)
	for id, a := range p.Used {
		first.Used[id], rest.Used[id] = a.split(uint64(most), uint64(p.length()))
	}
	return first, rest
}

// close turns the period into the entries of a report and the period that
// follows at the given time of day. Held are the instances that go on: what a
// report cannot say of them is in the next one. At most one report's length
// is closed; the rest stays open.
//
// What no ledger would believe is not claimed: more processor time than cores
// have in the time. Counters are exact to a hundredth of a second, so a short
// period can show a little more than it should, and a report that claims the
// impossible is refused with the usage of everybody in it.
func (p period) close(day time.Time, cores int, held func(ledger.InstanceID) bool) ([]ledger.UsageEntry, period) {
	first, next := p.cut(ledger.MaxUsagePeriod)
	next.Number, next.From = p.Number+1, p.From.Add(first.length())
	if next.length() == 0 && day.After(next.From) {
		next.From = day
	}
	room := entryRoom{left: ledger.MaxUsageBytes - reportBytes - len(first.Used)*entryBytes}
	reported := make(map[ledger.InstanceID]ledger.Usage)
	over := first.limit(uint64(cores) * uint64(first.length()))
	for _, id := range first.order(held) {
		u, rest := first.Used[id].usage()
		u.Metrics, rest.Metrics = room.take(u.Metrics)
		rest.Core = over[id]
		if held(id) {
			next.used(id, rest)
		}
		if !none(u) {
			reported[id] = u
		}
	}
	entries := make([]ledger.UsageEntry, 0, len(reported))
	for _, id := range slices.Sorted(maps.Keys(reported)) {
		entries = append(entries, ledger.UsageEntry{Instance: id, Usage: reported[id]})
	}
	return entries, next
}

// order returns the instances in the order in which they get room in the
// report: first those that are in no later one, then the others in turn.
func (p period) order(held func(ledger.InstanceID) bool) []ledger.InstanceID {
	var ended, others []ledger.InstanceID
	for _, id := range slices.Sorted(maps.Keys(p.Used)) {
		if held(id) {
			others = append(others, id)
		} else {
			ended = append(ended, id)
		}
	}
	if len(others) == 0 {
		return ended
	}
	turn := int(p.Number % uint64(len(others)))
	return slices.Concat(ended, others[turn:], others[:turn])
}

// limit takes from each its share of what all used above most, and returns it.
func (p *period) limit(most uint64) map[ledger.InstanceID]uint64 {
	var total uint64
	for _, a := range p.Used {
		total = plus(total, a.Core)
	}
	if total <= most {
		return nil
	}
	over, fair := make(map[ledger.InstanceID]uint64), make(map[ledger.InstanceID]amount)
	for id, a := range p.Used {
		had := a.Core
		a.Core = share(had, most, total)
		over[id], fair[id] = had-a.Core, a
	}
	p.Used = fair
	return over
}

// What a report takes at most, apart from metrics.
const (
	reportBytes = 1 << 10
	entryBytes  = 64
)

// An entryRoom is what is left of a report's bytes for metrics.
type entryRoom struct{ left int }

// take returns the metrics that a report has room for, and the others.
func (r *entryRoom) take(metrics map[string]uint64) (in, out map[string]uint64) {
	for i, name := range slices.Sorted(maps.Keys(metrics)) {
		size := len(name) + 12 // its length and a number
		to := &in
		if i >= ledger.MaxMetrics || size > r.left {
			to = &out
		} else {
			r.left -= size
		}
		if *to == nil {
			*to = make(map[string]uint64)
		}
		(*to)[name] = metrics[name]
	}
	return in, out
}
