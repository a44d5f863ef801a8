package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// widths are the numbers of clients that ask at once.
var widths = []int{1, 32, 128}

// maxWidth is the largest of them.
const maxWidth = 128

// A target is asked for durable writes by several clients.
type target struct {
	name    string
	servers []*process
	write   func(ctx context.Context, client, n int) error
	most    int64 // writes of one run; 0 is any number
}

// mostNew is how many instances one run makes: all runs together must find
// partitions for theirs.
const mostNew = 2500

func (t target) row(width int) string { return fmt.Sprintf("%s, %d clients", t.name, width) }

// A sample is what one run under load gave.
type sample struct {
	perSecond float64
	p50, p99  time.Duration
	server    time.Duration // CPU per write, all servers
	client    time.Duration // CPU per write, this program
}

// commands measures durable commands a second through one peer's API, which
// is JSON over HTTP. Ours is a request that changes a parameter of a stopped
// instance, or makes a new one; etcd's a put of 200 bytes, by its JSON over
// HTTP, which is the like, and by its own client over gRPC, which is leaner. All
// that is HTTP is asked by the same bare clients, one connection for each.
func commands(ctx context.Context, opt options, t *table) error {
	m, err := startMesh(ctx, opt, "commands", 3, 10000)
	if err != nil {
		return err
	}
	defer m.stop()
	leader, follower, err := m.parts(ctx)
	if err != nil {
		return err
	}
	if err := supplyAll(ctx, m); err != nil { // no build is to disturb
		return err
	}
	if err := prepare(ctx, leader); err != nil {
		return err
	}
	targets := []target{
		{"change, through the leader", m.processes(), change(leader), 0},
		{"change, through a follower", m.processes(), change(follower), 0},
		{"new, through a follower", m.processes(), create(follower), mostNew},
	}
	e, err := startEtcd(ctx, opt, "commands-etcd")
	switch {
	case errors.Is(err, errNoEtcd):
		t.add("etcd", "-", err.Error())
	case err != nil:
		return err
	default:
		defer e.stop()
		first, second, err := e.parts(ctx)
		if err != nil {
			return err
		}
		targets = append(targets,
			target{"etcd put, through the leader", e.servers, e.put(first), 0},
			target{"etcd put, through a follower", e.servers, e.put(second), 0},
			target{"etcd over HTTP, through the leader", e.servers, e.post(first), 0},
			target{"etcd over HTTP, through a follower", e.servers, e.post(second), 0})
	}
	return compare(ctx, opt, t, targets)
}

// compare measures all targets in turn, again and again, so that each meets
// the same load of the computer.
func compare(ctx context.Context, opt options, t *table, targets []target) error {
	for _, width := range widths {
		targets := slices.DeleteFunc(slices.Clone(targets), func(t target) bool { return !strings.Contains(t.row(width), opt.match) })
		got := make([][]sample, len(targets))
		for range opt.runs {
			for n, target := range targets {
				s, err := press(ctx, target, width, opt.time)
				if err != nil {
					return fmt.Errorf("%s: %w", target.name, err)
				}
				got[n] = append(got[n], s)
			}
		}
		var grpc, http float64 // etcd's best
		for n, target := range targets {
			switch {
			case strings.HasPrefix(target.name, "etcd over HTTP"):
				http = max(http, rate(got[n]))
			case strings.HasPrefix(target.name, "etcd"):
				grpc = max(grpc, rate(got[n]))
			}
		}
		for n, target := range targets {
			note := describe(got[n])
			if grpc > 0 && http > 0 {
				note = fmt.Sprintf("%.2f × etcd over HTTP, %.2f × over gRPC, %s", rate(got[n])/http, rate(got[n])/grpc, note)
			}
			t.add(target.row(width), fmt.Sprintf("%.0f/s", rate(got[n])), note)
		}
	}
	return nil
}

func rate(all []sample) float64 {
	var values []float64
	for _, s := range all {
		values = append(values, s.perSecond)
	}
	return median(values)
}

func describe(all []sample) string {
	var p50, p99, server, client []time.Duration
	for _, s := range all {
		p50, p99 = append(p50, s.p50), append(p99, s.p99)
		server, client = append(server, s.server), append(client, s.client)
	}
	return fmt.Sprintf("p50 %s, p99 %s, CPU %d µs servers + %d µs client",
		millis(median(p50)), millis(median(p99)), median(server).Microseconds(), median(client).Microseconds())
}

// press has so many clients write for a while, each one write after another.
func press(ctx context.Context, to target, width int, duration time.Duration) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, duration+30*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	var asked atomic.Int64 // writes that were begun
	took := make([][]time.Duration, width)
	busy, own, begun := cpu(to.servers...), ownCPU(), time.Now()
	for c := range width {
		wg.Go(func() {
			for n := 0; time.Since(begun) < duration && failed.Load() == nil; n++ {
				if count := asked.Add(1); to.most > 0 && count > to.most {
					return
				}
				at := time.Now()
				if err := to.write(ctx, c, n); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				took[c] = append(took[c], time.Since(at))
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return sample{}, *err
	}
	elapsed := time.Since(begun)
	var all []time.Duration
	for _, some := range took {
		all = append(all, some...)
	}
	writes := time.Duration(len(all))
	return sample{
		perSecond: float64(len(all)) / elapsed.Seconds(),
		p50:       quantile(all, 0.5), p99: quantile(all, 0.99),
		server: (cpu(to.servers...) - busy) / writes,
		client: (ownCPU() - own) / writes,
	}, nil
}

// prepare makes a stopped instance for each client.
func prepare(ctx context.Context, p *peer) error {
	for n := range maxWidth {
		in := protocol.RequestInput{Reference: fmt.Sprint("bench", n), Release: "memcached", State: protocol.RequestStopped}
		if _, err := p.Request(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

// change gives the client's instance another value of a parameter.
func change(p *peer) func(context.Context, int, int) error {
	var turn atomic.Int64
	to := p.lines()
	return func(_ context.Context, client, _ int) error {
		return to.post(client, protocol.RequestInput{
			Reference:  fmt.Sprint("bench", client),
			Parameters: map[string]json.RawMessage{"connections": fmt.Append(nil, 16+turn.Add(1)%50000)},
		})
	}
}

// create makes another instance with each write.
func create(p *peer) func(context.Context, int, int) error {
	var made atomic.Int64
	to := p.lines()
	return func(_ context.Context, client, _ int) error {
		return to.post(client, protocol.RequestInput{
			Reference: fmt.Sprint("new", made.Add(1)), Release: "memcached", State: protocol.RequestStopped,
		})
	}
}

// lines are connections to the peer's control socket.
func (p *peer) lines() *lines {
	return &lines{network: "unix", address: filepath.Join(p.dir, "slapd.sock"), path: "/v1/instances"}
}
