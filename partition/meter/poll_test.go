package meter

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// A counted is an instance with a counter, in the test's time.
type counted struct {
	mu     sync.Mutex
	value  uint64
	err    error
	takes  time.Duration
	asked  []time.Duration // since began
	began  time.Time
	asking int
	most   int // asked at the same time
}

func (c *counted) ask(ctx context.Context) (uint64, error) {
	c.mu.Lock()
	c.asked = append(c.asked, time.Since(c.began))
	c.asking++
	c.most = max(c.most, c.asking)
	value, err := c.value, c.err
	takes := c.takes
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.asking--
		c.mu.Unlock()
	}()
	select {
	case <-time.After(takes):
		return value, err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (c *counted) set(value uint64, err error, takes time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value, c.err, c.takes = value, err, takes
}

// pass lets time pass, and all that is done in it be done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// polling runs a poller in virtual time.
func polling(t *testing.T, f func(ctx context.Context, p *Poller, c *counted, log *bytes.Buffer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p := NewPoller(slog.New(slog.NewTextHandler(&log, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		f(ctx, p, &counted{began: time.Now()}, &log)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestPoll(t *testing.T) {
	polling(t, func(ctx context.Context, p *Poller, c *counted, log *bytes.Buffer) {
		if p.Values(1) != nil {
			t.Error("it knows what it never asked")
		}
		p.Set(1, []Metric{{Name: "rows", Every: time.Minute, Ask: c.ask}, {Name: "new", Every: time.Minute, Fresh: true, Ask: func(context.Context) (uint64, error) { return 0, errors.New("down") }}})
		if got := p.Values(1); !maps.Equal(got, map[string]uint64{"new": 0}) {
			t.Errorf("before anything ran: %v", got)
		}
		c.set(7, nil, 3*time.Second)
		pass(10*time.Minute + 10*time.Second)
		if n := len(c.asked); n != 11 {
			t.Errorf("asked %d times in ten minutes: %v", n, c.asked)
		}
		if got := p.Values(1); got["rows"] != 7 {
			t.Errorf("values %v", got)
		}
		c.set(9, nil, 0)
		p.Ask(ctx, 1)
		p.Set(1, nil)
		n := len(c.asked)
		pass(time.Hour)
		if got := p.Values(1); got["rows"] != 9 || len(c.asked) != n {
			t.Errorf("while it is stopped: %v, asked %d times", got, len(c.asked)-n)
		}
		p.Set(1, []Metric{{Name: "rows", Every: time.Minute, Fresh: true, Ask: c.ask}})
		if got := p.Values(1); !maps.Equal(got, map[string]uint64{"rows": 9}) {
			t.Errorf("started again: %v", got)
		}
		p.Forget(1)
		p.Ask(ctx, 1)
		p.Set(2, nil)
		pass(time.Hour)
		if p.Values(1) != nil || p.Values(2) != nil || len(c.asked) != n {
			t.Error("what is forgotten is asked")
		}
		if strings.Count(log.String(), "cannot be read") != 1 {
			t.Errorf("said %s", log)
		}
	})
}

// TestPollAgain asks soon again when a service is not up yet, and seldom when
// it stays down.
func TestPollAgain(t *testing.T) {
	polling(t, func(_ context.Context, p *Poller, c *counted, log *bytes.Buffer) {
		c.set(0, errors.New("down"), 0)
		p.Set(1, []Metric{{Name: "rows", Every: 5 * time.Minute, Ask: c.ask}})
		pass(time.Hour)
		if n := len(c.asked); n < 22 || n > 25 || c.asked[1]-c.asked[0] > 6*time.Second {
			t.Errorf("asked %d times in an hour: %v", n, c.asked)
		}
		if got := p.Values(1); len(got) != 0 {
			t.Errorf("values %v", got)
		}
		c.set(3, nil, 0)
		pass(6 * time.Minute)
		if got := p.Values(1); got["rows"] != 3 || strings.Count(log.String(), "\n") != 2 || !strings.Contains(log.String(), "again") {
			t.Errorf("values %v, said %s", got, log)
		}
	})
}

// TestPollInOrder holds that a slow answer does not come after a later one.
func TestPollInOrder(t *testing.T) {
	polling(t, func(ctx context.Context, p *Poller, c *counted, _ *bytes.Buffer) {
		c.set(5, nil, 4*time.Second)
		p.Set(1, []Metric{{Name: "rows", Every: time.Minute, Ask: c.ask}})
		pass(2 * time.Second) // it is being asked
		c.set(6, nil, 0)
		p.Ask(ctx, 1)
		synctest.Wait()
		if got := p.Values(1); got["rows"] != 6 || c.most != 1 {
			t.Errorf("values %v, asked %d times at once", got, c.most)
		}
	})
}

// TestPollSlow holds that instances that do not answer hold up neither the
// others nor the end.
func TestPollSlow(t *testing.T) {
	polling(t, func(_ context.Context, p *Poller, c *counted, _ *bytes.Buffer) {
		stuck := &counted{began: time.Now(), takes: 5 * time.Second, err: errors.New("late")}
		for id := range 3 {
			p.Set(ledger.InstanceID(100+id), []Metric{{Name: "rows", Every: 10 * time.Second, Ask: stuck.ask}})
		}
		for id := range 20 {
			p.Set(ledger.InstanceID(1+id), []Metric{{Name: "rows", Every: 10 * time.Second, Ask: c.ask}})
		}
		pass(5 * time.Minute)
		if n := len(c.asked); n < 20*20 {
			t.Errorf("20 instances were asked %d times", n)
		}
		if stuck.most > pollAtOnce || len(stuck.asked) < 10 {
			t.Errorf("stuck ones were asked %d times, %d at once", len(stuck.asked), stuck.most)
		}
	})
}
