package meter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/slapmesh/slapmesh/ledger"
)

// Track measures an instance from now on. Call it before anything of the
// instance runs: what ran before is not billed, unless the meter remembers
// from before a restart what it had seen. An instance that is tracked already
// goes on with the new source.
func (m *Meter) Track(ctx context.Context, id ledger.InstanceID, partition int, source Source) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer poke(m.walk)
	for other, t := range m.tracked {
		if t.partition == partition && other != id {
			return fmt.Errorf("track %v: partition %d is measured for %v", id, partition, other)
		}
	}
	if t, ok := m.tracked[id]; ok {
		m.tracked[id] = &tracked{partition: partition, source: source, last: t.last}
		return nil
	}
	if err := m.makeRoom(); err != nil {
		return fmt.Errorf("track %v: %w", id, err)
	}
	t := &tracked{partition: partition, source: source}
	if s, ok := m.known[id]; ok {
		t.last = &s
		delete(m.known, id)
	}
	m.advance()
	m.tracked[id] = t
	if t.last == nil {
		m.read(ctx, id, t)
	}
	return nil
}

// makeRoom makes sure that one more instance fits into the open period.
func (m *Meter) makeRoom() error {
	if len(m.tracked)+len(m.known) >= ledger.MaxUsageEntries {
		clear(m.known)
	}
	if len(m.tracked) >= ledger.MaxUsageEntries {
		return fmt.Errorf("%d instances are measured, the most there can be", len(m.tracked))
	}
	ended := 0
	for id := range m.open.Used {
		if _, ok := m.tracked[id]; !ok {
			ended++
		}
	}
	if len(m.tracked)+ended < ledger.MaxUsageEntries {
		return nil
	}
	m.advance()
	if m.open.length() <= 0 {
		return errors.New("the period has no room, and has only begun")
	}
	return m.closePeriod()
}

// Observe takes a sample of an instance now. Call it before its supervisor is
// ended: what ended processes ran is found nowhere afterwards. Of an instance
// that is not tracked there is nothing to see.
func (m *Meter) Observe(ctx context.Context, id ledger.InstanceID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t, ok := m.tracked[id]; ok {
		m.read(ctx, id, t)
	}
}

// Untrack measures an instance for the last time, writes that down, and soon
// closes the period. Call it when its services have stopped, and before its
// supervisor is ended and its folder removed: nothing is left to be measured
// afterwards. One that is not tracked is untracked already.
func (m *Meter) Untrack(ctx context.Context, id ledger.InstanceID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tracked[id]
	if ok {
		m.read(ctx, id, t)
		delete(m.tracked, id)
	}
	if _, known := m.known[id]; !ok && !known {
		return nil
	}
	delete(m.known, id)
	m.ended = true
	poke(m.wake)
	m.advance()
	if err := m.writeCheckpoint(m.open, m.closed); err != nil {
		return fmt.Errorf("untrack %v: %w", id, err)
	}
	return nil
}

// Metrics returns what the metrics of a tracked instance were when it was read
// last, before a restart of this meter perhaps.
func (m *Meter) Metrics(id ledger.InstanceID) map[string]uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t, ok := m.tracked[id]; ok && t.last != nil {
		return maps.Clone(t.last.Reading.Metrics)
	}
	return nil
}

// read takes a sample of an instance.
func (m *Meter) read(ctx context.Context, id ledger.InstanceID, t *tracked) {
	reading, cancel := context.WithTimeout(ctx, readTime)
	r, err := t.source.Read(reading)
	cancel()
	if err == nil {
		r.Metrics = sane(r.Metrics)
		err = r.check()
	}
	if err != nil {
		if !t.failing {
			m.cfg.Log.Warn("an instance cannot be measured; what it uses meanwhile is counted later",
				"instance", id.String(), "partition", t.partition, "err", err)
		}
		t.failing = true
		return
	}
	t.failing = false
	slices.SortFunc(r.Tasks, older)
	s := sample{Boot: m.cfg.Boot, At: m.cfg.Monotonic(), Reading: r}
	if t.last == nil {
		m.cfg.Log.Info("an instance is measured", "instance", id.String(), "partition", t.partition, "by", r.By, "network", len(r.Network) > 0)
		t.last = &s
		return
	}
	if _, walks := t.source.(Walker); walks && !t.walked {
		s.Reading.Disk = t.last.Reading.Disk // not known yet
	}
	s.Reading.Metrics = kept(t.last.Reading.Metrics, r.Metrics)
	m.open.used(id, between(*t.last, &s))
	t.last = &s
}

// sane returns the metrics that a report can say. What a profile counts must
// not keep what the kernel counts from being billed.
func sane(metrics map[string]uint64) map[string]uint64 {
	few := make(map[string]uint64)
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		if len(few) < ledger.MaxMetrics && name != "" && len(name) <= maxMetric && utf8.ValidString(name) {
			few[name] = metrics[name]
		}
	}
	return few
}

// kept returns the metrics of a reading, and those of the reading before that
// it lacks: a service that is down for a moment cannot be asked, and goes on
// counting where it was.
func kept(prev, cur map[string]uint64) map[string]uint64 {
	all := maps.Clone(cur)
	for _, name := range slices.Sorted(maps.Keys(prev)) {
		if _, ok := all[name]; ok || len(all) >= ledger.MaxMetrics {
			continue
		}
		if all == nil {
			all = make(map[string]uint64)
		}
		all[name] = prev[name]
	}
	return all
}

// walking measures folders, one at a time and each seldom enough that it
// takes no more than a tenth of a processor.
func (m *Meter) walking(ctx context.Context) {
	tick := time.NewTicker(m.cfg.Sample)
	defer tick.Stop()
	for {
		id, t, ok := m.nextWalk()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-m.walk:
			case <-tick.C:
			}
			continue
		}
		began := m.cfg.Monotonic()
		err := t.source.(Walker).Walk(ctx)
		if err != nil && ctx.Err() == nil {
			m.cfg.Log.Warn("an instance's disk is not measured completely", "instance", id.String(), "partition", t.partition, "err", err)
		}
		now := m.cfg.Monotonic()
		m.mu.Lock()
		t.walked, t.walkedAt = true, now
		m.mu.Unlock()
		rest := time.NewTimer(9 * (now - began))
		select {
		case <-ctx.Done():
			rest.Stop()
			return
		case <-rest.C:
		}
	}
}

// nextWalk returns the instance whose folder has waited longest, if it has
// long enough.
func (m *Meter) nextWalk() (id ledger.InstanceID, next *tracked, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.cfg.Monotonic()
	for _, other := range slices.Sorted(maps.Keys(m.tracked)) {
		t := m.tracked[other]
		if _, walks := t.source.(Walker); !walks || t.walked && now-t.walkedAt < m.cfg.Walk {
			continue
		}
		if next == nil || !t.walked && next.walked || t.walked == next.walked && t.walkedAt < next.walkedAt {
			id, next = other, t
		}
	}
	return id, next, next != nil
}
