package daemon

import (
	"context"
	"iter"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/tunnel"
	"github.com/slapmesh/slapmesh/partition"
)

// openTunnels makes both ends of tunnels: listeners for what runs elsewhere,
// and what other peers may reach here.
func (d *Daemon) openTunnels(context.Context) (err error) {
	d.tunnels, err = tunnel.New(tunnel.Config{
		Dial:  d.dialTunnel,
		Local: func(peer mesh.PeerID) bool { return peer == d.mesh.Self() },
		Log:   d.log.With("part", "tunnels"),
	})
	if err != nil {
		return err
	}
	streams := d.mesh.Listen(mesh.KindTunnel)
	serve := tunnel.ServeConfig{Authorize: d.authorizeTunnel, Dial: d.dialInstance, Count: d.countTunnel, Log: d.log.With("part", "tunnels")}
	d.loops = append(d.loops,
		loop{"tunnels", d.tunnels.Run},
		loop{"tunnelled services", d.runTunnels},
		loop{"tunnels from others", func(ctx context.Context) error { return tunnel.Serve(ctx, streams, serve) }},
	)
	return nil
}

// dialInstance connects to an instance of this computer, within its bandwidth.
func (d *Daemon) dialInstance(ctx context.Context, want tunnel.Want) (net.Conn, error) {
	i, ok := d.books.View().InstanceAt(want.Address.Addr())
	if !ok || d.metered == nil {
		return partition.DialHere(ctx, want.Address, want.UDP)
	}
	c, err := d.metered.Dial(ctx, i, want.Address.Port(), want.UDP)
	if err != nil {
		return nil, err
	}
	return d.paces.hold(c, i, d.books.View(), d.cfg.Clock), nil
}

// countTunnel returns where the bytes of an instance of this computer are
// added up. They are counted here and nowhere else: who connects may belong to
// anybody.
func (d *Daemon) countTunnel(address netip.AddrPort) *atomic.Uint64 {
	i, ok := d.books.View().InstanceAt(address.Addr())
	if !ok || d.metered == nil {
		return nil
	}
	return d.metered.counter(i.ID)
}

// runTunnels keeps a listener on the address of every instance that runs on
// another computer and that this peer's account, or an instance of this
// computer, may reach, so that a URL works here as well.
func (d *Daemon) runTunnels(ctx context.Context) error {
	changed, stop := d.books.Subscribe(ledger.TopicAll())
	defer stop()
	self := ledger.PeerID(d.mesh.Self())
	walled := d.metered != nil && d.metered.OwnNetwork()
	rest := time.NewTimer(tunnelRest)
	defer rest.Stop()
	var last []tunnel.Service
	for {
		begun := d.cfg.Clock()
		if services := tunnels(d.books.View(), self, d.host, walled); !slices.Equal(services, last) {
			d.tunnels.Set(services)
			last = services
		}
		took := d.cfg.Clock().Sub(begun)
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		rest.Reset(max(tunnelRest, 20*took))
		select {
		case <-ctx.Done():
			return nil
		case <-rest.C:
		}
	}
}

// tunnelRest is how long changes are collected, at least, before the list is
// made anew: a busy ledger changes a thousand times a second, and a list of
// thousands of instances takes a while.
const tunnelRest = 50 * time.Millisecond

// tunnels lists what is served elsewhere and should be reachable from here:
// what is of this peer's account and its projects, and what the instances of
// this computer may reach, whoever owns them, unless those are walled and have
// entrances of their own. Peers that share this computer's loopback need no
// tunnel.
func tunnels(v *ledger.State, self ledger.PeerID, host string, walled bool) []tunnel.Service {
	peer, ok := v.Peer(self)
	if !ok {
		return nil
	}
	var out []tunnel.Service
	add := func(all iter.Seq[ledger.Instance]) {
		for i := range all {
			computer, _ := v.Computer(i.Computer)
			near := computer.ID == ledger.ComputerID(self) || host != "" && computer.Host == host
			if near || i.Settled() || i.Requested != ledger.InstanceStarted || !i.Address.IsValid() {
				continue
			}
			for name, port := range i.Ports {
				out = append(out, tunnel.Service{Address: netip.AddrPortFrom(i.Address, port), UDP: slices.Contains(i.UDP, name), Peer: mesh.PeerID(i.Computer)})
			}
		}
	}
	add(v.Instances(peer.Account))
	for m := range v.Projects(peer.Account) {
		if uses(v, peer.Account, m.Project) {
			add(v.Instances(m.Project))
		}
	}
	if !walled { // otherwise they are reached from within, and by nobody else here
		add(v.Neighbours(ledger.ComputerID(self)))
	}
	slices.SortFunc(out, tunnel.Service.Compare)
	return slices.Compact(out) // what is shared is where its host is
}
