package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/tunnel"
	"github.com/slapmesh/slapmesh/partition"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// fromComputer is the name of the listener on the computer's own loopback.
const fromComputer = "computer"

// entranceRetry is how long after a failure is tried again: mostly an address
// is another program's for a while.
const entranceRetry = 5 * time.Second

// settleTimeout is how long the others wait for one supervisor.
const settleTimeout = 2 * time.Second

// An entranceKeeper keeps the entrances of this computer's instances as the
// ledger says. Those to instances here are passed to their supervisors and
// outlive the daemon; those to other computers are tunnels.
type entranceKeeper struct {
	self     mesh.PeerID
	computer string // whose loopback this is; see hostID
	host     networks
	books    *books
	dial     tunnel.Dialer
	log      *slog.Logger
	kicked   chan struct{}

	mu    sync.Mutex
	news  map[ledger.InstanceID]partition.Result // of instances here, whose ports the ledger learns of later
	fresh map[ledger.InstanceID]bool             // launched, or found: with a new network, perhaps
	last  map[ledger.InstanceID][]entrance       // as they are, by who has to do with them
	again map[ledger.InstanceID]bool             // those that failed

	tunnels map[ledger.InstanceID]*exit // owned by run
}

// An exit is the tunnels from within one instance.
type exit struct {
	manager *tunnel.Manager
	stop    context.CancelFunc
}

// networks find what has the network of an instance of this computer.
type networks interface {
	Network(ctx context.Context, i ledger.Instance) (partition.Network, error)
}

// network returns what has the network of an instance.
func (k *entranceKeeper) network(ctx context.Context, id ledger.InstanceID) (partition.Network, error) {
	i, ok := k.books.View().Instance(id)
	if !ok {
		return nil, partition.ErrNotHere
	}
	return k.host.Network(ctx, i)
}

// An announcingHost opens the entrances of an instance before anybody can be
// told that it is started.
type announcingHost struct {
	partition.Host
	launched func(context.Context, ledger.InstanceID, partition.Result)
}

// Start implements [partition.Host].
func (h announcingHost) Start(ctx context.Context, s partition.Start) (partition.Result, error) {
	r, err := h.Host.Start(ctx, s)
	if err == nil {
		h.launched(ctx, s.Instance.ID, r)
	}
	return r, err
}

// launched settles what has to do with an instance whose supervisor was
// launched, or found.
func (k *entranceKeeper) launched(ctx context.Context, id ledger.InstanceID, r partition.Result) {
	k.mu.Lock()
	k.news[id] = r
	k.settle(ctx, map[ledger.InstanceID]bool{id: true})
	k.fresh[id] = true
	k.mu.Unlock()
	select {
	case k.kicked <- struct{}{}:
	default: // run will look anyway
	}
}

// run keeps the entrances until ctx is done. Those that supervisors have stay.
func (k *entranceKeeper) run(ctx context.Context) error {
	changed, stop := k.books.Subscribe(ledger.TopicAll())
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var retry <-chan time.Time
		if failed := k.round(ctx, &wg); failed {
			timer.Reset(entranceRetry)
			retry = timer.C
		}
		select {
		case <-ctx.Done():
			return nil
		case <-k.kicked:
			continue
		case <-changed:
		case <-retry:
		}
		timer.Reset(tunnelRest)
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
	}
}

// round makes all be as the ledger says, and says whether anything is left to
// do.
func (k *entranceKeeper) round(ctx context.Context, wg *sync.WaitGroup) (failed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	want := k.settle(ctx, k.again)
	for id := range k.tunnels {
		if _, ok := want[id]; !ok {
			k.tunnel(ctx, wg, id, nil)
		}
	}
	for id, all := range want {
		k.tunnel(ctx, wg, id, all)
	}
	clear(k.fresh)
	return len(k.again) > 0
}

// settle makes the entrances to instances here be as planned: those that
// changed, and those of the instances to look at. It returns what is planned,
// by who has to do with it.
func (k *entranceKeeper) settle(ctx context.Context, look map[ledger.InstanceID]bool) map[ledger.InstanceID][]entrance {
	plan := entrances(k.books.View(), ledger.ComputerID(k.self), k.computer, k.news)
	want := make(map[ledger.InstanceID][]entrance)
	for _, e := range plan {
		if e.passed(k.self) {
			want[e.to] = append(want[e.to], e)
		}
		if e.within != 0 || !e.passed(k.self) {
			want[e.within] = append(want[e.within], e)
		}
	}
	due := maps.Clone(look)
	for id := range k.last {
		due[id] = due[id] || !slices.Equal(want[id], k.last[id])
	}
	for id, all := range want {
		_, known := k.last[id]
		due[id] = due[id] || !known || slices.ContainsFunc(all, func(e entrance) bool { return look[e.within] || look[e.to] })
	}
	p := &pass{keeper: k, open: make(map[ledger.InstanceID]*reached)}
	defer p.close()
	for id, is := range due {
		if !is {
			continue
		}
		err := p.settleInTime(ctx, id, want[id])
		delete(k.last, id)
		delete(k.again, id)
		switch {
		case err != nil:
			k.again[id] = true
			// Another peer of this computer may have the address, and a supervisor that ends does not answer.
			if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
				k.log.Warn("addresses of an instance cannot be served here", "instance", id, "err", err)
			}
		case len(want[id]) > 0:
			k.last[id] = want[id]
		default:
			delete(k.news, id)
		}
	}
	return want
}

// tunnel keeps the tunnels from within an instance to other computers. One
// that is fresh has a new network.
func (k *entranceKeeper) tunnel(ctx context.Context, wg *sync.WaitGroup, id ledger.InstanceID, want []entrance) {
	var services []tunnel.Service
	for _, e := range want {
		if e.within == id && !e.passed(k.self) {
			services = append(services, tunnel.Service{Address: e.at, UDP: e.udp, Peer: e.peer})
		}
	}
	x := k.tunnels[id]
	if x != nil && (k.fresh[id] || len(services) == 0) {
		x.stop()
		delete(k.tunnels, id)
		x = nil
	}
	if len(services) == 0 {
		return
	}
	if x == nil {
		ctx, cancel := context.WithCancel(ctx)
		config := tunnel.Config{Dial: k.dial, Log: k.log}
		if id != 0 {
			config.Listen = func(ctx context.Context, at netip.AddrPort) (net.Listener, error) {
				return within(ctx, k, id, func(n partition.Network) (net.Listener, error) { return n.Listen(ctx, at) })
			}
			config.ListenPacket = func(ctx context.Context, at netip.AddrPort) (net.PacketConn, error) {
				return within(ctx, k, id, func(n partition.Network) (net.PacketConn, error) { return n.ListenPacket(ctx, at) })
			}
		}
		manager, err := tunnel.New(config)
		if err != nil {
			cancel()
			k.log.Error("tunnels from within an instance", "err", err)
			return
		}
		x = &exit{manager, cancel}
		k.tunnels[id] = x
		wg.Go(func() { _ = manager.Run(ctx) })
	}
	x.manager.Set(services)
}

// within listens in the network of an instance.
func within[L any](ctx context.Context, k *entranceKeeper, id ledger.InstanceID, listen func(partition.Network) (L, error)) (l L, err error) {
	n, err := k.network(ctx, id)
	if err != nil {
		return l, err
	}
	defer func() { _ = n.Close() }() // nothing was written
	return listen(n)
}

// A pass is one round over the instances that something is to be done for.
type pass struct {
	keeper *entranceKeeper
	open   map[ledger.InstanceID]*reached
}

// A reached is the supervisor of an instance, and what it keeps open.
type reached struct {
	partition.Network
	has supervisor.Network
}

func (p *pass) close() {
	for _, r := range p.open {
		_ = r.Close() // nothing was written
	}
}

// reach returns the supervisor of an instance, or nil if there is none that
// keeps a network of its own.
func (p *pass) reach(ctx context.Context, id ledger.InstanceID) (*reached, error) {
	if r, ok := p.open[id]; ok {
		return r, nil
	}
	s, err := p.keeper.network(ctx, id)
	if err == nil {
		r := &reached{Network: s}
		if r.has, err = s.Network(ctx); err == nil {
			p.open[id] = r
			return r, nil
		}
		_ = s.Close() // nothing was written
	}
	if errors.Is(err, supervisor.ErrNotRunning) || errors.Is(err, partition.ErrNotHere) || errors.Is(err, supervisor.ErrUnknownCall) {
		return nil, nil //nolint:nilnil // who starts it asks again
	}
	return nil, err
}

// settleInTime is settle for supervisors that may not answer: their
// partitions may have no processor time left.
func (p *pass) settleInTime(ctx context.Context, id ledger.InstanceID, want []entrance) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	return p.settle(ctx, id, want)
}

// settle makes what an instance keeps open be as wanted.
func (p *pass) settle(ctx context.Context, id ledger.InstanceID, want []entrance) error {
	if id == 0 {
		return nil // the computer has tunnels only
	}
	r, err := p.reach(ctx, id)
	if r == nil {
		return err
	}
	var errs []error
	var serving []supervisor.Entrance
	var listening []string
	for _, e := range want {
		if e.within == id && !e.udp {
			listening = append(listening, e.at.String())
		}
		if e.to == id && e.passed(p.keeper.self) {
			name, err := p.serve(ctx, r, e)
			serving = append(serving, name)
			errs = append(errs, err)
		}
	}
	for _, e := range r.has.Serving {
		if !slices.Contains(serving, e) {
			errs = append(errs, r.Unserve(ctx, e))
		}
	}
	for _, at := range r.has.Listening {
		if !slices.Contains(listening, at) {
			errs = append(errs, r.Unlisten(ctx, at))
		}
	}
	return errors.Join(errs...)
}

// serve has the supervisor to serve an entrance, unless it does.
func (p *pass) serve(ctx context.Context, to *reached, e entrance) (supervisor.Entrance, error) {
	name := supervisor.Entrance{From: fromComputer, Address: e.at.String()}
	if e.within == 0 {
		if slices.Contains(to.has.Serving, name) {
			return name, nil
		}
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", e.at.String())
		if err != nil {
			return name, err
		}
		return name, errors.Join(to.Serve(ctx, name, l.(*net.TCPListener)), l.Close())
	}
	name.From = fmt.Sprintf("instance %d", e.within)
	from, err := p.reach(ctx, e.within)
	if from == nil {
		return name, err
	}
	if slices.Contains(to.has.Serving, name) && slices.Contains(from.has.Listening, name.Address) {
		return name, nil // otherwise the one that it serves is of an earlier life
	}
	l, err := from.Listen(ctx, e.at)
	if err != nil {
		return name, err
	}
	return name, errors.Join(to.Serve(ctx, name, l), l.Close())
}
