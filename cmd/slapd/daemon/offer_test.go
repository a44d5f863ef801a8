package daemon

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/protocol"
)

// A diary keeps what is logged.
type diary struct {
	slog.Handler
	mu    sync.Mutex
	lines []slog.Record
}

func newDiary() *diary { return &diary{Handler: slog.DiscardHandler} }

func (d *diary) Enabled(context.Context, slog.Level) bool { return true }
func (d *diary) WithAttrs([]slog.Attr) slog.Handler       { return d }
func (d *diary) WithGroup(string) slog.Handler            { return d }
func (d *diary) Handle(_ context.Context, r slog.Record) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, r)
	return nil
}

// times lists when something was logged.
func (d *diary) times(message string) (out []time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.lines {
		if r.Message == message {
			out = append(out, r.Time)
		}
	}
	return out
}

// TestOfferWithoutLeader is about a computer that has something new to offer
// and nobody to tell: it says so once, tries ever more rarely, and at once
// when there is a leader again.
func TestOfferWithoutLeader(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a := w.found(FoundOptions{}, 2)
		w.eventually(10*time.Second, "a quorum", func() bool { return a.status().Quorum && a.status().Account != "" })
		b := w.join(a, a.token(protocol.TokenInput{Role: protocol.RoleComputer}), 2)
		w.eventually(time.Minute, "b offers two partitions", func() bool {
			c, _ := b.view().Computer(ledger.ComputerID(b.id()))
			return c.Partitions == 2
		})
		time.Sleep(10 * time.Second) // it keeps its slice
		b.stop()
		w.net.move(a.address(), 1)
		f, err := openFolder(b.config.Dir)
		if err != nil {
			t.Fatal(err)
		}
		five, log := 5, newDiary()
		if _, err := f.remember(Settings{Partitions: &five}); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		b.config.Log = slog.New(log)
		b.run()
		time.Sleep(10 * time.Minute)
		const begun, over, tried = "cannot offer this computer's partitions, will try until it can", "this computer's partitions are offered again", "offer not taken"
		if n := len(log.times(begun)); n != 1 {
			t.Errorf("in ten minutes it said %d times that it cannot offer", n)
		}
		attempts := log.times(tried)
		if n := len(attempts); n < 20 || n > 50 {
			t.Fatalf("in ten minutes it tried %d times", n)
		}
		for n := range attempts[1:] {
			if pause := attempts[n+1].Sub(attempts[n]); pause > offerRetryMax+leaderPatience {
				t.Errorf("it paused for %v", pause)
			}
		}
		w.net.move(a.address(), 0)
		led := w.eventually(time.Minute, "a leader", func() bool { return b.status().Quorum })
		took := w.eventually(2*time.Second, "b offers five partitions", func() bool {
			c, _ := a.view().Computer(ledger.ComputerID(b.id()))
			return c.Partitions == five
		})
		w.logf("a leader after %v, offered after %v more", led, took)
		w.eventually(time.Second, "it says so", func() bool { return len(log.times(over)) == 1 })
	})
}
