package partition

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// Config says what an [Agent] keeps, and how.
type Config struct {
	Source   Source   // required
	Reporter Reporter // required
	Host     Host     // required

	// Requester asks for the instances that those here need. Without one they
	// cannot have any.
	Requester Requester

	Clock func() time.Time // required
	Log   *slog.Logger     // default: nothing

	// Builds and Starts are how many builds, and other steps, may be under
	// way at once. Default 2 and 8.
	Builds, Starts int
}

func (c Config) withDefaults() (Config, error) {
	if c.Source == nil || c.Reporter == nil || c.Host == nil || c.Clock == nil {
		return c, errors.New("partition: config: Source, Reporter, Host and Clock required")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Builds, c.Starts = cmp.Or(c.Builds, 2), cmp.Or(c.Starts, 8)
	return c, nil
}

// An Agent keeps one computer as its Source wants it.
type Agent struct {
	cfg    Config
	events chan func()
	tasks  sync.WaitGroup

	// Owned by Run.
	wanted  Wanted
	known   bool // wanted was learned
	have    Inventory
	doing   map[string]*task // steps under way, by what they act on
	watches map[int]*watch
	told    mouth
	ended   chan struct{}
}

// A task is a step under way.
type task struct {
	step   Step
	order  uint64
	cancel context.CancelFunc
}

// A watch is a supervisor being listened to.
type watch struct{ cancel context.CancelFunc }

// NewAgent returns an agent that does nothing before [Agent.Run].
func NewAgent(cfg Config) (*Agent, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Agent{
		cfg: cfg, events: make(chan func(), 256), ended: make(chan struct{}),
		have:  Inventory{Places: make(map[int]Place), Releases: make(map[ledger.ReleaseDigest]Shelf)},
		doing: make(map[string]*task), watches: make(map[int]*watch), told: newMouth(),
	}, nil
}

// Run keeps the computer until ctx is done, then returns nil; instances run
// on. A failure is logged and tried again; it never ends the loop. Run may be
// called once.
func (a *Agent) Run(ctx context.Context) error {
	defer a.tasks.Wait()
	defer close(a.ended)
	if err := a.look(ctx); err != nil {
		return nil //nolint:nilerr // only the end of ctx ends looking
	}
	timer, rested := time.NewTimer(0), time.NewTimer(0)
	defer timer.Stop()
	defer rested.Stop()
	changed, learned := a.cfg.Source.Changed(), time.Time{}
	for {
		if ctx.Err() != nil {
			return nil
		}
		next := a.round(ctx)
		if !learned.IsZero() {
			changed = nil
			rested.Reset(rest(a.cfg.Clock().Sub(learned)))
			learned = time.Time{}
		}
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(max(0, next.Sub(a.cfg.Clock())))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			learned = a.cfg.Clock()
			a.learn(ctx)
		case <-rested.C:
			changed = a.cfg.Source.Changed()
		case event := <-a.events:
			event()
			a.drain()
		case <-timer.C:
			a.learn(ctx)
		}
	}
}

// rest is how long the agent does not ask again what is wanted after it took
// so long to act on the answer: a busy ledger changes thousands of times a
// second, and to follow it takes no more than a fortieth of the time.
func rest(took time.Duration) time.Duration { return min(39*max(0, took), 250*time.Millisecond) }

// drain takes the events that are there, so that one round serves them all.
func (a *Agent) drain() {
	for range cap(a.events) {
		select {
		case event := <-a.events:
			event()
		default:
			return
		}
	}
}

// round takes all steps that can be taken and tells what there is to tell. It
// returns when to look again at the latest.
func (a *Agent) round(ctx context.Context) time.Time {
	now := a.cfg.Clock()
	if !a.known {
		return now.Add(time.Second)
	}
	for _, step := range Plan(a.wanted, a.have, now) {
		a.begin(ctx, step)
	}
	next := now.Add(time.Minute) // in case news got lost
	for _, t := range []time.Time{NextLook(a.have, now), a.tell(ctx, now)} {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	return next
}

// begin takes a step in the background, unless too many are under way: then
// the end of one brings another plan.
func (a *Agent) begin(ctx context.Context, step Step) {
	same := 0
	for _, t := range a.doing {
		if a.slotOf(t.step) == a.slotOf(step) {
			same++
		}
	}
	if same >= a.slotOf(step).most {
		return
	}
	key, order := a.mark(step)
	switch s := step.(type) {
	case Build:
		s.Progress = a.progress(s.Release)
		step = s
	case Receive:
		s.Progress = a.receiving(s.Instance.Partition)
		step = s
	case Ask:
		s.requester = cmp.Or(a.cfg.Requester, Requester(nobody{}))
		step = s
	}
	parent := ctx
	ctx, cancel := context.WithCancel(ctx)
	a.doing[key] = &task{step, order, cancel}
	a.tasks.Go(func() {
		defer cancel()
		result, err := step.Do(ctx, a.cfg.Host)
		cancelled := ctx.Err() != nil
		a.send(func() {
			delete(a.doing, key)
			a.finish(ending{step, order, result, err, cancelled})
			if start, ok := step.(Start); ok && err == nil {
				a.watch(parent, start.Instance.Partition)
			}
		})
	})
}

// A slot is what steps of a kind take, so that slow ones hold up no others:
// data that is waited for must not keep away the stop that others wait for.
type slot struct {
	kind string
	most int // at once
}

func (a *Agent) slotOf(s Step) slot {
	switch s.(type) {
	case Build:
		return slot{"build", a.cfg.Builds}
	case Receive:
		return slot{"receive", maxReceives}
	}
	return slot{"other", a.cfg.Starts}
}

// maxReceives is how many instances take their data at once.
const maxReceives = 4

// mark makes what a step acts on busy.
func (a *Agent) mark(step Step) (key string, order uint64) {
	switch s := step.(type) {
	case Build:
		a.markRelease(s.Release)
		return string(s.Release), 0
	case Drop:
		a.markRelease(s.Release)
		return string(s.Release), 0
	case Start:
		return a.markMine(s.Instance)
	case Receive:
		return a.markMine(s.Instance)
	case Ask:
		place := a.have.Places[s.Instance.Partition]
		place.Asking = true
		a.have.Places[s.Instance.Partition] = place
		return fmt.Sprint("ask ", s.Instance.Partition), s.Instance.Order()
	case Return:
		return a.markPlace(s.Instance.Partition)
	case Stop:
		return a.markPlace(s.Partition)
	case Destroy:
		return a.markPlace(s.Partition)
	}
	panic(fmt.Sprintf("partition: step %T is not known", step))
}

func (a *Agent) markRelease(d ledger.ReleaseDigest) {
	shelf := a.have.Releases[d]
	shelf.Busy, shelf.Progress = true, ""
	a.have.Releases[d] = shelf
}

// markMine marks a place in which, from now on, there may be something of an
// instance to destroy.
func (a *Agent) markMine(i ledger.Instance) (key string, order uint64) {
	place := a.have.Places[i.Partition]
	place.Instance, place.Busy = i.ID, true
	a.have.Places[i.Partition] = place
	return fmt.Sprint(i.Partition), i.Order()
}

func (a *Agent) markPlace(n int) (key string, order uint64) {
	place := a.have.Places[n]
	place.Busy = true
	a.have.Places[n] = place
	for _, i := range a.wanted.Instances {
		if i.Partition == n {
			order = i.Order()
		}
	}
	return fmt.Sprint(n), order
}

// progress returns what a build tells its progress to: about once a second is
// passed on.
func (a *Agent) progress(d ledger.ReleaseDigest) func(string) {
	return a.slowly(func(text string) {
		if shelf := a.have.Releases[d]; shelf.Busy {
			shelf.Progress = text
			a.have.Releases[d] = shelf
		}
	})
}

// slowly has Run note at most one text a second.
func (a *Agent) slowly(note func(string)) func(string) {
	var last time.Time
	return func(text string) {
		now := a.cfg.Clock()
		if now.Sub(last) < time.Second {
			return
		}
		last = now
		a.send(func() { note(text) })
	}
}

// send hands an event to Run, unless that has ended.
func (a *Agent) send(event func()) {
	select {
	case a.events <- event:
	case <-a.ended:
	}
}

// watch listens to the supervisor of a partition.
func (a *Agent) watch(ctx context.Context, n int) {
	a.unwatch(n)
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{cancel}
	a.watches[n] = w
	a.tasks.Go(func() {
		defer cancel()
		err := a.cfg.Host.Watch(ctx, n, func(s supervisor.Status) {
			a.send(func() {
				if a.watches[n] == w {
					place := a.have.Places[n]
					place.Status = &s
					place.prove()
					a.have.Places[n] = place
				}
			})
		})
		a.send(func() { a.gone(n, w, err) })
	})
}

func (a *Agent) unwatch(n int) {
	if w, ok := a.watches[n]; ok {
		w.cancel()
		delete(a.watches, n)
	}
}

// gone takes note that a supervisor has ended, or cannot be heard.
func (a *Agent) gone(n int, w *watch, err error) {
	if a.watches[n] != w {
		return // a step ended it, and says so itself
	}
	delete(a.watches, n)
	place, ok := a.have.Places[n]
	if !ok {
		return
	}
	if !place.Busy {
		a.cfg.Log.Warn("supervisor is gone", "partition", n, "err", err)
		place.Trial = place.Trial.fail(a.cfg.Clock(), place.Applied, errors.New("its supervisor ended"))
	}
	place.Running, place.Applied, place.Status = false, 0, nil
	a.have.Places[n] = place
}

// Logs returns what an instance logged here. With follow it goes on until it
// is closed or ctx is done.
func (a *Agent) Logs(ctx context.Context, i ledger.Instance, follow bool) (io.ReadCloser, error) {
	return a.cfg.Host.Logs(ctx, i, follow)
}

// Exec runs a command inside an instance's partition, and returns its exit
// status.
func (a *Agent) Exec(ctx context.Context, i ledger.Instance, e supervisor.Exec) (int, error) {
	return a.cfg.Host.Exec(ctx, i, e)
}

// wait waits for d, or less if ctx is done.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
