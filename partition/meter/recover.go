package meter

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"

	"github.com/slapmesh/slapmesh/ledger"
)

// open goes on from what is on disk.
func open(cfg Config, d disk) (*Meter, error) {
	m := &Meter{
		cfg: cfg, disk: d, began: cfg.Monotonic(),
		wake: make(chan struct{}, 1), walk: make(chan struct{}, 1), send: make(chan struct{}, 1),
		tracked: make(map[ledger.InstanceID]*tracked), known: make(map[ledger.InstanceID]sample),
	}
	var err error
	if m.spool, err = openSpool(d); err != nil {
		return nil, fmt.Errorf("meter: open spool: %w", err)
	}
	c, err := m.readCheckpoint()
	if err != nil {
		return nil, err
	}
	m.open, m.closed = c.Open, c.Closed
	maps.Copy(m.known, c.Samples)
	m.renumber()
	if err := m.spoolClosed(); err != nil {
		return nil, fmt.Errorf("meter: %w", err)
	}
	if err := m.resume(); err != nil {
		return nil, fmt.Errorf("meter: %w", err)
	}
	if err := m.writeCheckpoint(m.open, nil); err != nil {
		return nil, fmt.Errorf("meter: %w", err)
	}
	poke(m.send)
	return m, nil
}

// readCheckpoint returns the state before, or that of a new folder. A file
// that is damaged is set aside: measuring must go on, and renumber finds
// what number is next as well as it can be known.
func (m *Meter) readCheckpoint() (checkpoint, error) {
	anew := checkpoint{Open: period{Number: 1, From: m.cfg.Clock().UTC().Round(0)}}
	data, err := m.disk.read(checkpointFile)
	if errors.Is(err, fs.ErrNotExist) {
		return anew, nil
	}
	var c checkpoint
	if err == nil {
		c, err = unpackCheckpoint(data)
	}
	if errors.Is(err, errDamaged) {
		m.cfg.Log.Error("the meter's checkpoint cannot be read: usage since the last report is lost", "kept_as", damagedFile, "err", err)
		if err := m.disk.rename(checkpointFile, damagedFile); err != nil {
			return checkpoint{}, fmt.Errorf("meter: set damaged checkpoint aside: %w", err)
		}
		return anew, nil
	}
	if err != nil {
		return checkpoint{}, fmt.Errorf("meter: read checkpoint: %w", err)
	}
	if c.Mesh != m.cfg.Mesh || c.Computer != m.cfg.Computer {
		return checkpoint{}, fmt.Errorf("meter: the folder is that of computer %.80q in mesh %.80q", c.Computer, c.Mesh)
	}
	return c, nil
}

// renumber makes sure that no number is used twice. A checkpoint that is
// older than reports that exist was restored from somewhere: what it says was
// used may be billed already.
func (m *Meter) renumber() {
	last := max(m.spool.last(), m.cfg.Billed)
	if last < m.open.Number {
		return
	}
	m.cfg.Log.Warn("the meter's folder is older than its reports: usage since its checkpoint is not billed",
		"number", m.open.Number, "last", last)
	m.open = period{Number: last + 1, From: m.cfg.Clock().UTC().Round(0)}
	m.closed = nil
	clear(m.known)
}

// resume makes the restored period go on. After a reboot it cannot: it ended
// when it was last written down.
func (m *Meter) resume() error {
	for id := range m.open.Used {
		m.ended = m.ended || !m.held(id) // and should have been told of soon
	}
	now := m.cfg.Monotonic()
	if m.open.Boot == m.cfg.Boot && now >= m.open.Now {
		return nil // the next look brings it up to date
	}
	for m.open.length() > 0 {
		if err := m.closePeriod(); err != nil {
			return err
		}
	}
	m.open.Boot, m.open.Opened, m.open.Now = m.cfg.Boot, now, now
	return nil
}
