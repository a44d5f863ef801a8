package meter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

const (
	// settling is how long after a start no period is closed, so that the
	// instances that ran on are tracked again before.
	settling = 15 * time.Second

	// shortest is the shortest period: in a shorter one, counters that tick
	// every hundredth of a second show nonsense.
	shortest = time.Second

	// readTime is how long a source may take, as all others wait for it.
	readTime = 2 * time.Second

	// remembering is how long it is remembered what instances had used that nobody
	// tracks again.
	remembering = time.Hour
)

// sampling looks at every instance every few seconds.
func (m *Meter) sampling(ctx context.Context) {
	tick := time.NewTicker(m.cfg.Sample)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-m.wake:
		}
		m.look(ctx)
	}
}

// look takes a sample of every instance, and closes the period or writes it
// down if it is time for that.
func (m *Meter) look(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sample(ctx)
	err := m.spoolClosed()
	for err == nil && m.due() {
		err = m.closePeriod()
	}
	if m.open.Now-m.written >= m.cfg.Checkpoint {
		err = errors.Join(err, m.writeCheckpoint(m.open, m.closed))
	}
	m.complain(err)
}

// finish closes the last period.
func (m *Meter) finish(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sample(ctx)
	err := m.spoolClosed()
	for err == nil && m.open.length() >= shortest && !m.full() {
		err = m.closePeriod()
	}
	if err == nil {
		err = m.writeCheckpoint(m.open, m.closed)
	}
	m.complain(err)
}

// complain logs that usage cannot be written down, once until it can.
func (m *Meter) complain(err error) {
	if err != nil && !m.failing {
		m.cfg.Log.Error("usage cannot be written down; it is kept in memory meanwhile", "err", err)
	}
	if err == nil && m.failing {
		m.cfg.Log.Info("usage can be written down again")
	}
	m.failing = err != nil
}

func (m *Meter) sample(ctx context.Context) {
	for _, id := range slices.Sorted(maps.Keys(m.tracked)) {
		m.read(ctx, id, m.tracked[id])
	}
	m.advance()
	if m.open.Now-m.began > remembering {
		clear(m.known)
	}
}

// advance brings the period up to date. While there is nothing to measure, it
// does not begin.
func (m *Meter) advance() {
	m.open.Now = max(m.open.Now, m.cfg.Monotonic())
	if len(m.tracked) == 0 && len(m.known) == 0 && len(m.open.Used) == 0 {
		m.open.From = later(m.open.From, m.day())
		m.open.Opened = m.open.Now
	}
}

// day returns the time of day.
func (m *Meter) day() time.Time { return m.cfg.Clock().UTC().Round(0) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// due says whether it is time to close the period.
func (m *Meter) due() bool {
	length := m.open.length()
	switch {
	case length >= ledger.MaxUsagePeriod:
		return true
	case length < shortest || m.full():
		return false
	case m.open.Now-m.began < min(settling, m.cfg.Every):
		return false
	default:
		return m.ended || length >= m.cfg.Every
	}
}

// full says whether the spool holds as much as it should.
func (m *Meter) full() bool {
	return len(m.spool.waiting) >= m.cfg.MaxReports || m.spool.bytes >= m.cfg.MaxBytes
}

// closePeriod makes a report of the open period, or of its first day if it
// is longer, and opens the next. That the checkpoint of the next is written,
// with the report in it, is what closes a period: before, nothing happened;
// after, the report will be in the spool.
func (m *Meter) closePeriod() error {
	if err := m.spoolClosed(); err != nil {
		return err
	}
	entries, next := m.open.close(m.day(), m.cfg.Cores, m.held)
	if len(entries) == 0 {
		next.Number = m.open.Number
		m.opened(next)
		return nil
	}
	report := ledger.UsageReport{
		Mesh: m.cfg.Mesh, Computer: m.cfg.Computer, Number: m.open.Number,
		From: m.open.From, To: m.open.From.Add(min(m.open.length(), ledger.MaxUsagePeriod)),
		Entries: entries,
	}
	signed, err := report.Sign(m.cfg.Sign)
	if err != nil {
		return err
	}
	if err := m.writeCheckpoint(next, &signed); err != nil {
		return err
	}
	m.opened(next)
	m.closed = &signed
	return m.spoolClosed()
}

func (m *Meter) opened(p period) {
	m.open = p
	if p.length() == 0 {
		m.ended = false
	}
}

// held says whether an instance goes on.
func (m *Meter) held(id ledger.InstanceID) bool {
	_, now := m.tracked[id]
	_, before := m.known[id]
	return now || before
}

// spoolClosed puts the report that was closed last into the spool.
func (m *Meter) spoolClosed() error {
	if m.closed == nil {
		return nil
	}
	number := m.open.Number - 1
	if !m.spool.has(number) {
		if err := m.spool.add(number, *m.closed); err != nil {
			return err
		}
	}
	m.closed = nil
	poke(m.send)
	return nil
}

// writeCheckpoint writes down a period and what every instance's counters
// show.
func (m *Meter) writeCheckpoint(p period, closed *ledger.SignedUsage) error {
	c := checkpoint{Mesh: m.cfg.Mesh, Computer: m.cfg.Computer, Open: p, Samples: maps.Clone(m.known), Closed: closed}
	for id, t := range m.tracked {
		if t.last != nil {
			c.Samples[id] = *t.last
		}
	}
	data, err := pack(checkpointHeader, c)
	if err == nil {
		err = replace(m.disk, checkpointFile, data)
	}
	if err != nil {
		return fmt.Errorf("write checkpoint of period %d: %w", p.Number, err)
	}
	m.written = p.Now
	return nil
}
