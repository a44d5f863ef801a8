package meter

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// A Sender brings reports to the ledger.
type Sender interface {
	// SendUsage returns nil once the ledger has the report for good, also if
	// it had it before. An error with the code [ledger.ErrInvalid] or
	// [ledger.ErrForbidden] says that it never will; after any other the
	// report is sent again. One report is sent at a time, in order.
	SendUsage(ctx context.Context, report ledger.SignedUsage) error
}

// How long to wait before a report is sent again, and for an answer.
const (
	firstPause  = time.Second
	longestWait = 2 * time.Minute
	answerTime  = time.Minute
)

// delivering empties the spool.
func (m *Meter) delivering(ctx context.Context, sender Sender) {
	failures := 0
	for ctx.Err() == nil {
		number, ok := m.first()
		if !ok {
			select {
			case <-ctx.Done():
			case <-m.send:
			}
			continue
		}
		err := m.deliver(ctx, sender, number)
		switch {
		case ctx.Err() != nil:
		case err == nil && failures > 0:
			m.cfg.Log.Info("usage reports arrive again", "number", number, "failures", failures)
			failures = 0
		case err != nil:
			if failures == 0 {
				m.cfg.Log.Warn("a usage report waits: it will be sent again", "number", number, "err", err)
			}
			failures++
			rest(ctx, pause(failures))
		}
	}
}

// first returns the number of the report to send next.
func (m *Meter) first() (uint64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.spool.waiting) == 0 {
		return 0, false
	}
	return m.spool.waiting[0], true
}

// deliver sends one report. It returns nil when that is settled.
func (m *Meter) deliver(ctx context.Context, sender Sender, number uint64) error {
	report, err := readReport(m.disk, number)
	lost := errors.Is(err, errDamaged) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EIO)
	if err == nil {
		sending, cancel := context.WithTimeout(ctx, answerTime)
		err = sender.SendUsage(sending, report)
		cancel()
	}
	switch code := ledger.CodeOf(err); {
	case err == nil:
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.spool.drop(number)
	case lost, code == ledger.ErrInvalid, code == ledger.ErrForbidden:
		return m.setAside(number, err)
	}
	return err
}

// setAside makes way for the reports that follow one that will never be
// billed.
func (m *Meter) setAside(number uint64, why error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if errors.Is(why, fs.ErrNotExist) {
		m.spool.forget(number)
	} else if err := m.spool.refuse(number); err != nil {
		return err
	}
	m.cfg.Log.Error("a usage report is refused and set aside: what it says is not billed",
		"number", number, "folder", refusedDir, "err", why)
	return nil
}

// pause returns how long to wait after so many failures: twice as long each
// time, and never the same for two computers that were cut off together.
func pause(failures int) time.Duration {
	most := min(longestWait, firstPause<<min(failures-1, 10))
	return most/2 + rand.N(most/2)
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
