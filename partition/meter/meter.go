package meter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slapmesh/slapmesh/ledger"
)

// Config says how usage is measured and for whom.
type Config struct {
	Dir      string                      // the meter's own folder, made when it is not there; required
	Mesh     string                      // id; required
	Computer ledger.ComputerID           // required
	Sign     func(message []byte) []byte // with the computer's Ed25519 key; required
	Clock    func() time.Time            // the time of day; required
	Log      *slog.Logger                // required

	// Monotonic is a clock that only goes on, also while the computer
	// sleeps, and that Boot names: with an equal Boot, times of a meter
	// before are of the same clock. Give both or neither. Default: the time
	// since the computer was started.
	Monotonic func() time.Duration
	Boot      string

	// Every is how long a period is, unless an instance ends or the spool is
	// full. At most [ledger.MaxUsagePeriod]. Default ten minutes.
	Every time.Duration

	// Sample is how often the sources are read. Default 5 seconds.
	Sample time.Duration

	// Checkpoint is how often the open period is written down: what a crash
	// can lose. Default one minute.
	Checkpoint time.Duration

	// Walk is how often a [Walker] measures its folder. Default 5 minutes.
	Walk time.Duration

	// MaxReports and MaxBytes bound the spool. When it is full, a period
	// lasts as long as the ledger allows. Default 4,500, enough for 31 days
	// of default periods, and 256 MiB.
	MaxReports int
	MaxBytes   int64

	// Cores is how many processors the computer has: no report claims more.
	// Default: those that the kernel shows.
	Cores int

	// Billed is the number of the last report that the ledger is known to
	// have billed. It matters when the folder was lost, or restored from a
	// backup: those numbers are not used again, and what the folder
	// remembers of that time is not billed again.
	Billed uint64
}

// withDefaults returns a completed copy of c, or says what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	c.Every = cmp.Or(c.Every, 10*time.Minute)
	c.Sample = cmp.Or(c.Sample, 5*time.Second)
	c.Checkpoint = cmp.Or(c.Checkpoint, time.Minute)
	c.Walk = cmp.Or(c.Walk, 5*time.Minute)
	c.MaxReports = cmp.Or(c.MaxReports, 4500)
	c.MaxBytes = cmp.Or(c.MaxBytes, 256<<20)
	c.Cores = cmp.Or(c.Cores, runtime.NumCPU())
	switch {
	case c.Dir == "" || c.Mesh == "" || c.Computer == "":
		return c, errors.New("meter: config: Dir, Mesh and Computer required")
	case c.Sign == nil || c.Clock == nil || c.Log == nil:
		return c, errors.New("meter: config: Sign, Clock and Log required")
	case (c.Monotonic == nil) != (c.Boot == ""):
		return c, errors.New("meter: config: Monotonic and Boot belong together")
	case c.Every < 0 || c.Every > ledger.MaxUsagePeriod:
		return c, fmt.Errorf("meter: config: Every is %v, at most %v", c.Every, ledger.MaxUsagePeriod)
	case c.Sample < 0 || c.Checkpoint < 0 || c.Walk < 0 || c.MaxReports < 0 || c.MaxBytes < 0 || c.Cores < 0:
		return c, errors.New("meter: config: a negative bound")
	}
	if c.Monotonic == nil {
		boot, err := bootID()
		if err != nil {
			return c, fmt.Errorf("meter: which boot this is: %w", err)
		}
		c.Boot, c.Monotonic = boot, sinceBoot
	}
	return c, nil
}

// A Meter measures what the instances of this computer use. Its methods may
// be called from any goroutine.
type Meter struct {
	cfg   Config
	disk  disk
	lock  *os.File      // held: one meter in a folder
	began time.Duration // when this meter did
	wake  chan struct{} // look soon
	walk  chan struct{} // a folder is to be measured
	send  chan struct{} // a report is in the spool

	mu      sync.Mutex
	open    period
	tracked map[ledger.InstanceID]*tracked
	known   map[ledger.InstanceID]sample // from before a restart, of instances that nobody tracks yet
	closed  *ledger.SignedUsage          // report open.Number-1, if it is not in the spool yet
	spool   *spool
	ended   bool          // an instance did: close soon
	written time.Duration // when the checkpoint was
	failing bool          // the last write did
}

// A tracked instance is one that is measured.
type tracked struct {
	partition int
	source    Source
	last      *sample // nil before the first
	failing   bool    // the last reading failed
	walked    bool
	walkedAt  time.Duration
}

// New returns the meter of a folder, going on where the one before ended.
func New(cfg Config) (*Meter, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, refusedDir), 0o700); err != nil {
		return nil, fmt.Errorf("meter: %w", err)
	}
	held, err := os.OpenFile(filepath.Join(cfg.Dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("meter: %w", err)
	}
	if err := lock(held); err != nil {
		return nil, errors.Join(fmt.Errorf("meter: %s is another meter's: %w", cfg.Dir, err), held.Close())
	}
	m, err := open(cfg, realDisk{cfg.Dir})
	if err != nil {
		return nil, errors.Join(err, held.Close())
	}
	m.lock = held
	return m, nil
}

// Close lets go of the folder. What was used since the last checkpoint is
// lost unless Run has ended before.
func (m *Meter) Close() error {
	if m.lock == nil {
		return nil
	}
	return m.lock.Close()
}

// Run measures, and delivers reports to the sender, until ctx is done; then
// it closes the period and returns nil. A failure is logged and tried again.
func (m *Meter) Run(ctx context.Context, sender Sender) error {
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { m.sampling(running); return nil })
	g.Go(func() error { m.walking(running); return nil })
	g.Go(func() error { m.delivering(running, sender); return nil })
	err := g.Wait()
	m.finish(context.WithoutCancel(ctx))
	return err
}

// poke makes a loop look, if it does not already.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
