package mesh

import (
	"context"
	"net"
	"time"

	"github.com/slapmesh/slapmesh/mesh/path"
	"github.com/slapmesh/slapmesh/mesh/portmap"
)

const (
	// roamCheck is how often the computer's addresses and clock are looked at.
	roamCheck = 2 * time.Second
	// slept is how much the clock may run ahead of what passed before this
	// computer is taken to have slept.
	slept = 5 * time.Second
	// improveEvery is how often something better is looked for than a relay or
	// TCP.
	improveEvery = time.Minute
)

// roam looks whether this computer moved to other addresses, or slept, until
// ctx is done. Then what is held may lead nowhere: it is tried at once.
func (m *Mesh) roam(ctx context.Context) {
	tick := time.NewTicker(roamCheck)
	defer tick.Stop()
	last := m.config.Clock()
	improved := last
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := m.config.Clock()
		// The wall clock goes on while a computer sleeps, the other one does not.
		asleep := now.Round(0).Sub(last.Round(0)) - now.Sub(last)
		moved := m.paths.reach.at(m.ownAddresses())
		if moved || asleep > slept {
			m.config.Log.Info("this computer moved or slept: looking for the others again", "moved", moved, "slept", max(asleep, 0).Round(time.Second))
			m.paths.doubt()
			improved = now
			select {
			case m.seeded <- struct{}{}:
			default:
			}
		}
		last = now
		if now.Sub(improved) >= improveEvery {
			improved = now
			m.paths.improveAll()
		}
	}
}

// doubt has every connection show that it still leads somewhere, and gives up
// ways that were found from another place.
func (p *paths) doubt() {
	for _, l := range p.links.all() {
		l.doubt.Store(true)
		l.send(make([]byte, pingSize), p.links.spawn) // tells a server where we are now
	}
	var stale []*way
	p.mu.Lock()
	clear(p.punched)
	clear(p.improved)
	for _, pw := range p.peers {
		for _, w := range pw.ways {
			if w.kind == path.TCP || w.kind == path.Punched {
				stale = append(stale, w)
			}
		}
	}
	p.mu.Unlock()
	for _, w := range stale {
		w.end()
	}
}

// improveAll looks for something better than what leads to each peer.
func (p *paths) improveAll() {
	seen := map[PeerID]bool{}
	for _, l := range p.links.all() {
		if l.virtual && !seen[l.peer] && p.links.held(l.peer) == l {
			seen[l.peer] = true
			p.links.spawn(func() { p.improve(p.links.ctx, l) })
		}
	}
}

// improve looks for something better than a virtual connection: a hole, if
// this peer dialled it, then an ordinary one, then TCP instead of a relay.
func (p *paths) improve(ctx context.Context, l *link) {
	if l.dialled {
		p.punch(ctx, l)
	}
	d, last, _ := p.links.book.lookup(l.peer)
	own, _, _ := p.links.book.lookup(p.links.wall.identity.ID())
	addresses := candidates(d, last, own.Host)
	if held := p.links.held(l.peer); held == nil || !held.virtual || len(d.Relays) > 0 || len(addresses) == 0 || !p.due(l.peer) {
		return // it is good already, or hidden, or was tried just now
	}
	ctx, cancel := context.WithTimeout(ctx, p.links.profile.Handshake+tcpHandshake)
	defer cancel()
	dial, stop := context.WithTimeout(ctx, p.links.profile.Handshake)
	_, err := p.links.dialDirect(dial, l.peer, addresses)
	stop()
	if w := p.present(l.peer); err == nil || p.links.fallback == nil || w == nil || w.kind != path.Relayed {
		return
	}
	if err := p.links.wayTCP(ctx, l.peer, addresses); err != nil {
		p.log.Debug("nothing better than a relay", "peer", l.peer.Short(), "err", err)
	}
}

// due reports whether an ordinary connection to a peer may be tried again, and
// notes that it is.
func (p *paths) due(id PeerID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.links.wall.clock()
	if now.Sub(p.improved[id]) < improveEvery/2 {
		return false
	}
	if len(p.improved) >= maxPeers {
		clear(p.improved)
	}
	p.improved[id] = now
	return true
}

// mapPort asks the router for a port that leads here, once it is known that
// there is one, and until ctx is done. Others are told of it if it is of the
// Internet, or where they see this peer anyhow.
func (m *Mesh) mapPort(ctx context.Context) {
	_, real := m.config.Socket.(*net.UDPConn)
	bound, ok := addrPortOf(m.config.Socket.LocalAddr())
	if !real || !ok || m.config.NoPortMapping || len(m.config.Advertise) > 0 {
		return
	}
	tick := time.NewTicker(roamCheck)
	defer tick.Stop()
	for len(m.paths.reach.verdict().External) == 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	portmap.Keep(ctx, bound.Port(), []portmap.Finder{portmap.PMP, portmap.UPnP}, m.paths.reach.setMapped, m.config.Log)
}
