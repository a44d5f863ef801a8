package meter

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// A Metric is a number that an instance keeps of itself. It only grows, but
// for beginning anew.
type Metric struct {
	Name  string
	Every time.Duration // how often it is asked for

	// Fresh says that nothing ran before it is asked for, and nobody has seen
	// it: so it begins at zero, and what it is the first time counts.
	Fresh bool

	// Ask returns what it is now. It takes no longer than its own timeout.
	Ask func(context.Context) (uint64, error)
}

const (
	// pollTick is how often a poller looks which metrics are due.
	pollTick = time.Second

	// pollAtOnce bounds the instances that are asked at the same time.
	pollAtOnce = 4

	// pollAgain is how soon a metric is asked for again that has just failed:
	// a service that starts is not up yet. From pollFails failures in a row
	// on it is told, and asked no sooner than any other.
	pollAgain = 5 * time.Second
	pollFails = 12
)

// A Poller asks instances for their metrics, beside all else: asking takes
// longer than a [Source] may. Its methods may be called from any goroutine.
type Poller struct {
	log *slog.Logger

	mu     sync.Mutex
	polled map[ledger.InstanceID]*polled
}

// polled are the metrics of one instance.
type polled struct {
	id      ledger.InstanceID
	metrics []*polledMetric // of the last Set; guarded by the poller's mu

	// asking has one place, for who asks it. So values come in the order in
	// which they were asked for: one that came late would seem to begin anew.
	asking chan struct{}

	values map[string]uint64 // guarded by the poller's mu
	busy   bool              // the same: Run has it asked
}

type polledMetric struct {
	Metric
	next     time.Time // guarded by the poller's mu, as is what follows
	failures int       // in a row
}

// NewPoller returns a poller that has nothing to ask.
func NewPoller(log *slog.Logger) *Poller {
	return &Poller{log: log, polled: make(map[ledger.InstanceID]*polled)}
}

// Set says what an instance is asked for from now on: nothing while it is
// stopped. Values stay until they are asked for anew.
func (p *Poller) Set(id ledger.InstanceID, metrics []Metric) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.polled[id]
	if !ok {
		if len(metrics) == 0 {
			return
		}
		i = &polled{id: id, asking: make(chan struct{}, 1), values: make(map[string]uint64)}
		p.polled[id] = i
	}
	i.metrics = nil
	values := make(map[string]uint64)
	for _, m := range metrics {
		i.metrics = append(i.metrics, &polledMetric{Metric: m})
		if n, ok := i.values[m.Name]; ok {
			values[m.Name] = n
		} else if m.Fresh {
			values[m.Name] = 0
		}
	}
	if len(metrics) > 0 {
		i.values = values
	}
}

// Forget asks an instance no more.
func (p *Poller) Forget(id ledger.InstanceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.polled, id)
}

// Values returns what the metrics of an instance were when it was asked last.
func (p *Poller) Values(id ledger.InstanceID) map[string]uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.polled[id]
	if !ok {
		return nil
	}
	return maps.Clone(i.values)
}

// Ask asks an instance now, before it is stopped: what it counted is nowhere
// afterwards.
func (p *Poller) Ask(ctx context.Context, id ledger.InstanceID) {
	p.mu.Lock()
	i, ok := p.polled[id]
	if !ok {
		p.mu.Unlock()
		return
	}
	all := i.metrics
	p.mu.Unlock()
	p.ask(ctx, i, all, time.Time{})
}

// Run asks until ctx is done, then returns nil.
func (p *Poller) Run(ctx context.Context) error {
	var asked sync.WaitGroup
	defer asked.Wait()
	places := make(chan struct{}, pollAtOnce)
	tick := time.NewTicker(pollTick)
	defer tick.Stop()
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			return nil
		case now = <-tick.C:
		}
		for _, d := range p.due(now, cap(places)-len(places)) {
			places <- struct{}{}
			asked.Go(func() {
				p.ask(ctx, d.polled, d.metrics, now)
				p.mu.Lock()
				d.busy = false
				p.mu.Unlock()
				<-places
			})
		}
	}
}

// A duty is what is to be asked of an instance.
type duty struct {
	*polled
	metrics []*polledMetric
}

// due takes up to most instances of which something is due.
func (p *Poller) due(now time.Time, most int) []duty {
	p.mu.Lock()
	defer p.mu.Unlock()
	var duties []duty
	for _, i := range p.polled { // in no order: so each gets its turn
		d := duty{polled: i}
		for _, m := range i.metrics {
			if !now.Before(m.next) {
				d.metrics = append(d.metrics, m)
			}
		}
		if i.busy || len(d.metrics) == 0 || len(duties) == most {
			continue
		}
		i.busy = true
		duties = append(duties, d)
	}
	return duties
}

// ask asks for metrics in turn.
func (p *Poller) ask(ctx context.Context, i *polled, metrics []*polledMetric, now time.Time) {
	select {
	case i.asking <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-i.asking }()
	for _, m := range metrics {
		n, err := m.Ask(ctx)
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return
		}
		p.mu.Lock()
		p.answered(i, m, n, err)
		m.next = now.Add(m.Every)
		if err != nil && m.failures < pollFails {
			m.next = now.Add(min(pollAgain, m.Every))
		}
		p.mu.Unlock()
	}
}

func (p *Poller) answered(i *polled, m *polledMetric, n uint64, err error) {
	if err != nil {
		if m.failures++; m.failures == pollFails {
			p.log.Warn("a metric cannot be read; what it counts meanwhile is seen later, or not at all", "instance", i.id.String(), "err", err)
		}
		return
	}
	if m.failures >= pollFails {
		p.log.Info("a metric can be read again", "instance", i.id.String(), "metric", m.Name)
	}
	m.failures, i.values[m.Name] = 0, n
}
