package meter

import (
	"cmp"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// maxNames bounds the metrics of one instance in one period.
const maxNames = 2 * ledger.MaxMetrics

// A sample is a reading and when it was taken, by a clock that never goes
// back while the computer is up.
type sample struct {
	Boot    string        `cbor:"1,keyasint,omitempty"` // names the life of the clock
	At      time.Duration `cbor:"2,keyasint,omitempty"`
	Reading Reading       `cbor:"3,keyasint"`
	Owed    uint64        `cbor:"4,keyasint,omitempty"` // counted of tasks that ended, and not yet seen as reaped
}

// An amount is what was used in a span of time.
type amount struct {
	Core    uint64            `cbor:"1,keyasint,omitempty"` // nanoseconds
	Memory  area              `cbor:"2,keyasint"`
	Disk    area              `cbor:"3,keyasint"`
	Network uint64            `cbor:"4,keyasint,omitempty"`
	Metrics map[string]uint64 `cbor:"5,keyasint,omitempty"`
}

// between returns what was used from one sample to a later one, and keeps in
// the later what the next comparison must know.
//
// A metric counts from the first time on that it is seen: what it was by then
// may have been counted by a meter that nobody remembers.
//
// Memory counts where at least one task lived through: what came and went
// between two samples is not guessed. Disk counts as long as the computer
// was up. Over a reboot only counters count, for nobody knows how long a
// computer was off that did not measure.
func between(prev sample, cur *sample) amount {
	a := amount{Network: grown(prev.Reading.Network, cur.Reading.Network)}
	for name, v := range cur.Reading.Metrics {
		was, known := prev.Reading.Metrics[name]
		if d := since(was, v); known && d > 0 {
			a.count(name, d)
		}
	}
	up := prev.Boot == cur.Boot && cur.At >= prev.At
	if !up {
		prev.Reading.Tasks, prev.Reading.By, prev.Owed = nil, "", 0
	}
	var lived bool
	a.Core, cur.Owed, lived = ran(prev.Reading, cur.Reading, prev.Owed)
	if up {
		d := cur.At - prev.At
		a.Disk = trapezoid(prev.Reading.Disk, cur.Reading.Disk, d)
		if lived {
			a.Memory = trapezoid(prev.Reading.Memory, cur.Reading.Memory, d)
		}
	}
	return a
}

// ran returns the processor time between two readings, and whether any task
// is in both.
//
// A task that ended is gone from the second reading. Its time is then in what
// its parent has reaped, together with the part that was counted before,
// which therefore is taken off. As tasks are not read at one instant, parents
// first, the parent may show it one reading later: what could not be taken
// off is owed until then, and no longer. For if nobody waited for the task,
// or it left the partition, its time is nowhere. What living tasks ran
// themselves always counts.
func ran(prev, cur Reading, owed uint64) (core, owing uint64, lived bool) {
	if prev.By != "" && cur.By != "" && prev.By != cur.By {
		return 0, 0, false // another way to count: this reading is where it begins
	}
	var reaped, gone uint64
	old := prev.Tasks
	for _, t := range cur.Tasks {
		for len(old) > 0 && older(old[0], t) < 0 {
			gone = plus(gone, plus(old[0].Own, old[0].Reaped))
			old = old[1:]
		}
		if len(old) == 0 || older(old[0], t) != 0 {
			core = plus(core, plus(t.Own, t.Reaped)) // began since
			continue
		}
		lived = true
		core = plus(core, since(old[0].Own, t.Own))
		reaped = plus(reaped, minus(t.Reaped, old[0].Reaped))
		old = old[1:]
	}
	for _, t := range old {
		gone = plus(gone, plus(t.Own, t.Reaped))
	}
	reaped = minus(reaped, owed)
	if lived {
		owing = minus(gone, reaped)
	}
	return plus(core, minus(reaped, gone)), owing, lived
}

// older orders tasks.
func older(a, b Task) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Start, b.Start)) }

// grown returns by how much counters grew together.
func grown(prev, cur []Counter) uint64 {
	var sum uint64
	for _, c := range cur {
		was := uint64(0)
		for _, p := range prev {
			if p.Name == c.Name {
				was = p.Value
			}
		}
		sum = plus(sum, since(was, c.Value))
	}
	return sum
}

// since returns how far a counter went from prev. If it is lower it was reset
// meanwhile, and all that it shows is new.
func since(prev, cur uint64) uint64 {
	if cur < prev {
		return cur
	}
	return cur - prev
}

// count adds to a metric. A source that changes its metrics' names with every
// reading does not get more than maxNames of them into one period.
func (a *amount) count(name string, n uint64) {
	if a.Metrics == nil {
		a.Metrics = make(map[string]uint64)
	}
	if _, known := a.Metrics[name]; !known && len(a.Metrics) >= maxNames {
		return
	}
	a.Metrics[name] = plus(a.Metrics[name], n)
}

// add adds b to a.
func (a *amount) add(b amount) {
	a.Core = plus(a.Core, b.Core)
	a.Memory = a.Memory.plus(b.Memory)
	a.Disk = a.Disk.plus(b.Disk)
	a.Network = plus(a.Network, b.Network)
	for name, n := range b.Metrics {
		a.count(name, n)
	}
}

// split divides the amount as if it had been used evenly: num/den of it, and
// the rest. Nothing is lost between them.
func (a amount) split(num, den uint64) (first, rest amount) {
	first = amount{
		Core: share(a.Core, num, den), Network: share(a.Network, num, den),
		Memory: a.Memory.share(num, den), Disk: a.Disk.share(num, den),
	}
	rest = amount{
		Core: a.Core - first.Core, Network: a.Network - first.Network,
		Memory: a.Memory.minus(first.Memory), Disk: a.Disk.minus(first.Disk),
	}
	for name, n := range a.Metrics {
		part := share(n, num, den)
		if part > 0 {
			first.count(name, part)
		}
		if n > part {
			rest.count(name, n-part)
		}
	}
	return first, rest
}

// usage returns the amount as the ledger counts it, and what is left: less
// than one byte-second each.
func (a amount) usage() (u ledger.Usage, rest amount) {
	u = ledger.Usage{Core: a.Core, Network: a.Network, Metrics: a.Metrics}
	u.Memory, rest.Memory = a.Memory.byteSeconds()
	u.Disk, rest.Disk = a.Disk.byteSeconds()
	return u, rest
}

// none says whether a usage is nothing at all.
func none(u ledger.Usage) bool {
	return u.Core == 0 && u.Memory == 0 && u.Disk == 0 && u.Network == 0 && len(u.Metrics) == 0
}
