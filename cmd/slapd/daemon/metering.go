package daemon

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/remote"
	"github.com/slapmesh/slapmesh/partition"
	"github.com/slapmesh/slapmesh/partition/meter"
	"github.com/slapmesh/slapmesh/partition/meter/kernel"
	"github.com/slapmesh/slapmesh/partition/sandbox"
)

// A meteredHost is this computer with a meter on each partition.
type meteredHost struct {
	*partition.Computer
	meter  *meter.Meter
	kernel *kernel.Kernel
	poller *meter.Poller
	warn   func(msg string, args ...any)

	mu      sync.Mutex
	gauges  map[int]*gauge
	carried map[ledger.InstanceID]*atomic.Uint64 // bytes, since this daemon began
}

var _ partition.Host = (*meteredHost)(nil)

// A gauge finds what is to be measured in one partition.
type gauge struct {
	host      *meteredHost
	partition int
	instance  ledger.InstanceID

	mu      sync.Mutex
	running *sandbox.Running // found last; nil for none
}

// findTimeout is how long a supervisor may take to answer.
const findTimeout = time.Second

// askTimeout is how long an instance that is about to be stopped may take to
// say what it counted.
const askTimeout = 10 * time.Second

// pid returns the partition's supervisor, or 0 while none runs.
func (g *gauge) pid() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running != nil && g.running.Alive() {
		return g.running.PID
	}
	g.closeLocked()
	ctx, cancel := context.WithTimeout(context.Background(), findTimeout) //nolint:forbidigo // the meter asks without one
	defer cancel()
	running, err := g.host.Supervisor(ctx, g.partition)
	if err != nil {
		return 0
	}
	g.running = running
	return running.PID
}

func (g *gauge) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closeLocked()
}

func (g *gauge) closeLocked() {
	if g.running != nil {
		_ = g.running.Close() // nothing was written
		g.running = nil
	}
}

// openMeter puts a meter on the partitions of this computer.
func (d *Daemon) openMeter(host *partition.Computer) (*meteredHost, error) {
	self := ledger.ComputerID(d.mesh.Self())
	m, err := meter.New(meter.Config{
		Dir: d.folder.file("usage"), Mesh: d.mesh.ID(), Computer: self, Sign: d.signs, Clock: d.cfg.Clock,
		Log: d.log.With("part", "meter"), Billed: d.books.View().Meter(self).Next - 1,
	})
	if err != nil {
		return nil, err
	}
	return &meteredHost{
		Computer: host, meter: m, kernel: kernel.Open(""), poller: meter.NewPoller(d.log.With("part", "meter")), warn: d.log.With("part", "meter").Warn,
		gauges: make(map[int]*gauge), carried: make(map[ledger.InstanceID]*atomic.Uint64),
	}, nil
}

// track measures an instance from now on.
func (h *meteredHost) track(ctx context.Context, id ledger.InstanceID, n int) {
	h.mu.Lock()
	g, ok := h.gauges[n]
	if ok && g.instance == id {
		h.mu.Unlock()
		return
	}
	g = &gauge{host: h, partition: n, instance: id}
	h.gauges[n] = g
	h.mu.Unlock()
	err := h.meter.Track(ctx, id, n, &kernel.Partition{
		Kernel: h.kernel, PID: g.pid, Cgroups: h.Groups(n), Folder: h.Data(n), Image: h.Image(n), Carried: h.counter(id).Load,
		Metrics: func(context.Context) (map[string]uint64, error) { return h.poller.Values(id), nil },
	})
	if err != nil {
		h.warn("instance is not measured, so what it uses is not billed", "instance", id, "err", err)
	}
}

// counter returns where the bytes are added up that tunnels carry for an
// instance. It is the same as long as the instance is here: connections
// outlive stops and starts.
func (h *meteredHost) counter(id ledger.InstanceID) *atomic.Uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, ok := h.carried[id]
	if !ok {
		n = new(atomic.Uint64)
		h.carried[id] = n
	}
	return n
}

// gauge returns what measures a partition.
func (h *meteredHost) gauge(n int) (*gauge, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g, ok := h.gauges[n]
	return g, ok
}

// Look implements [partition.Host].
func (h *meteredHost) Look(ctx context.Context) (map[int]partition.Place, error) {
	places, err := h.Computer.Look(ctx)
	for n, p := range places {
		if p.Instance != 0 {
			h.track(ctx, p.Instance, n)
		}
	}
	return places, err
}

// Start implements [partition.Host].
func (h *meteredHost) Start(ctx context.Context, s partition.Start) (partition.Result, error) {
	i := s.Instance
	h.track(ctx, i.ID, i.Partition)
	g, ok := h.gauge(i.Partition)
	fresh := ok && g.pid() == 0 //nolint:contextcheck // as for the meter
	result, err := h.Computer.Start(ctx, s)
	if err != nil {
		return result, err
	}
	seen := h.meter.Metrics(i.ID)
	var metrics []meter.Metric
	for _, m := range result.Metrics {
		_, known := seen[m.Name]
		ask := func(ctx context.Context) (uint64, error) { return h.Count(ctx, i.Partition, m) }
		metrics = append(metrics, meter.Metric{Name: m.Name, Every: m.Every, Fresh: fresh && !known, Ask: ask})
	}
	h.poller.Set(i.ID, metrics)
	if fresh && len(metrics) > 0 {
		h.meter.Observe(ctx, i.ID) // that they begin at zero
	}
	return result, nil
}

// ask asks an instance for its metrics a last time.
func (h *meteredHost) ask(ctx context.Context, id ledger.InstanceID) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	h.poller.Ask(ctx, id)
}

// Stop implements [partition.Host].
func (h *meteredHost) Stop(ctx context.Context, n int) error {
	g, ok := h.gauge(n)
	if ok {
		h.ask(ctx, g.instance)
		h.meter.Observe(ctx, g.instance)
	}
	err := h.Computer.Stop(ctx, n)
	if ok && err == nil {
		h.poller.Set(g.instance, nil)
	}
	return err
}

// Destroy implements [partition.Host].
func (h *meteredHost) Destroy(ctx context.Context, n int) error {
	if g, ok := h.gauge(n); ok {
		h.ask(ctx, g.instance)
		if err := h.meter.Untrack(ctx, g.instance); err != nil {
			h.warn("the last usage of an instance may be lost", "instance", g.instance, "err", err)
		}
		h.poller.Forget(g.instance)
		h.mu.Lock()
		delete(h.gauges, n)
		delete(h.carried, g.instance)
		h.mu.Unlock()
		g.close()
	}
	return h.Computer.Destroy(ctx, n)
}

// close lets go of the supervisors; what runs goes on.
func (h *meteredHost) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range h.gauges {
		g.close()
	}
	return h.meter.Close()
}

// A usageSender has the ledger bill reports.
type usageSender struct{ *books }

// SendUsage implements [meter.Sender].
func (s usageSender) SendUsage(ctx context.Context, signed ledger.SignedUsage) error {
	_, err := s.Propose(ctx, remote.Credential{}, ledger.ReportUsage{Signed: signed})
	return err
}

// run measures and reports until ctx is done.
func (h *meteredHost) run(b *books) func(context.Context) error {
	return func(ctx context.Context) error { return h.meter.Run(ctx, usageSender{b}) }
}
