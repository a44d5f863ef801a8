package mesh

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/mesh/frame"
	"github.com/slapmesh/slapmesh/mesh/nat"
	"github.com/slapmesh/slapmesh/mesh/path"
	"github.com/slapmesh/slapmesh/mesh/switchboard"
)

// Two peers that speak through a relay make holes in what separates them:
// each tells the other, over that connection, all addresses at which it may
// be seen, and both send probes to all of them, again and again. A probe that
// arrives is answered to where it came from; a probe that is answered has
// found a way. Probes and answers prove, with keys of that connection, who
// sent them.

const (
	// punchEvery is the pause between two rounds of probes, punchFor how long
	// it is tried.
	punchEvery = 100 * time.Millisecond
	punchFor   = 4 * time.Second
	// punchAgain is how soon a failure is tried again.
	punchAgain = 5 * time.Minute
	// punchesAtOnce bounds those under way.
	punchesAtOnce = 16
	// punchEndpoints bounds the addresses that are probed for one peer.
	punchEndpoints = 12
)

// A punch is the making of a hole, and the keeping of it.
type punch struct {
	paths  *paths
	peer   PeerID
	way    *way
	send   []byte // key of what we send
	accept []byte // key of what we get
	nonce  uint64 // before the number of our probes

	mu        sync.Mutex
	theirs    switchboard.Label // for our signals and packets; 0: not known yet
	endpoints []netip.AddrPort
	round     uint64    // of probes
	answered  time.Time // the last one
	failed    bool      // no answer counts any more

	found chan netip.AddrPort // receives the first address that answers
	over  chan struct{}       // closed when the way is given up
	end   func()              // gives it up
}

// punchable reports whether it is worth a try: two translators that give each
// destination another port never meet.
func punchable(ours, theirs nat.Mapping) bool {
	return ours != nat.Dependent || theirs != nat.Dependent
}

// endpoints lists where this peer may be seen, for others to probe.
func (p *paths) endpoints() (at []netip.AddrPort, mapping nat.Mapping) {
	v := p.reach.verdict()
	if mapped, _ := p.reach.mapping(); mapped.IsValid() {
		at = append(at, mapped)
	}
	at = append(at, v.External[:min(len(v.External), punchEndpoints/2)]...)
	socket, ok := addrPortOf(p.board.LocalAddr())
	if !ok {
		return at, v.Mapping
	}
	for _, a := range p.reach.addresses() {
		if len(at) < punchEndpoints && !a.IsLoopback() {
			at = append(at, netip.AddrPortFrom(a, socket.Port()))
		}
	}
	return at, v.Mapping
}

// punch tries to come to a direct way to the peer at the other end of l, and
// to an ordinary connection.
func (p *paths) punch(ctx context.Context, l *link) {
	p.mu.Lock()
	last := p.punched[l.peer]
	now := p.links.wall.clock()
	if now.Sub(last) < punchAgain || p.punching >= punchesAtOnce {
		p.mu.Unlock()
		return
	}
	if len(p.punched) >= maxPeers {
		clear(p.punched)
	}
	p.punched[l.peer] = now
	p.punching++
	p.mu.Unlock()
	at, err := p.makeHole(ctx, l)
	p.mu.Lock()
	p.punching--
	if err == nil {
		delete(p.punched, l.peer)
	}
	p.mu.Unlock()
	if err != nil {
		p.log.Debug("no hole", "peer", l.peer.Short(), "err", err)
		return
	}
	if l := p.links.held(l.peer); l == nil || !l.virtual {
		return
	}
	dial, cancel := context.WithTimeout(ctx, p.links.profile.Handshake)
	defer cancel()
	if _, err := p.links.dialDirect(dial, l.peer, []string{at.String()}); err != nil {
		p.log.Debug("no connection through the hole", "peer", l.peer.Short(), "err", err)
	}
}

// makeHole asks the other end of l to make a hole, and makes it.
func (p *paths) makeHole(ctx context.Context, l *link) (at netip.AddrPort, err error) {
	ours, mapping := p.endpoints()
	h, err := p.newPunch(l, "opener", "answerer")
	if err != nil {
		return at, err
	}
	stream, reply, err := p.ask(ctx, l, pathRequest{
		Format: pathFormat, Want: pathPunch, Label: uint64(h.way.label), Endpoints: endpointStrings(ours), Mapping: string(mapping),
	})
	if err != nil {
		h.drop()
		return at, err
	}
	h.reaches(switchboard.Label(reply.Label))
	h.probe(parseEndpoints(reply.Endpoints))
	p.links.spawn(func() { //nolint:contextcheck // the way outlives the call that opens it
		defer func() { _ = stream.Close() }() // never fails
		h.run(stream)
	})
	select {
	case at := <-h.found:
		return at, nil
	case <-h.over:
		return at, errors.New("no probe was answered")
	case <-ctx.Done():
		return at, ctx.Err()
	}
}

// answerPunch makes a hole that the other end of c asks for.
func (p *paths) answerPunch(c *conn, r pathRequest) error {
	ours, mapping := p.endpoints()
	switch {
	case !c.link.virtual:
		return errors.New("there is a direct connection already")
	case !punchable(mapping, nat.Mapping(r.Mapping)):
		return fmt.Errorf("both translators map by destination (%s and %s)", mapping, r.Mapping)
	}
	h, err := p.newPunch(c.link, "answerer", "opener")
	if err != nil {
		return err
	}
	h.reaches(switchboard.Label(r.Label))
	err = frame.Write(c, pathReply{Format: pathFormat, Label: uint64(h.way.label), Endpoints: endpointStrings(ours)})
	if err != nil {
		h.drop()
		return err
	}
	h.probe(parseEndpoints(r.Endpoints))
	h.run(c)
	return nil
}

// newPunch prepares to take signals. The keys come from the connection, one
// for each direction.
func (p *paths) newPunch(l *link, ours, theirs string) (*punch, error) {
	h := &punch{paths: p, peer: l.peer, way: &way{kind: path.Punched}, found: make(chan netip.AddrPort, 1), over: make(chan struct{}), end: func() {}}
	state := l.conn.ConnectionState().TLS
	var err error
	if h.send, err = state.ExportKeyingMaterial("slapd punch "+ours, nil, 32); err == nil {
		h.accept, err = state.ExportKeyingMaterial("slapd punch "+theirs, nil, 32)
	}
	if err != nil {
		return nil, fmt.Errorf("keys for probes: %w", err)
	}
	var nonce [8]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		panic(err) // crypto/rand never fails
	}
	h.nonce = binary.BigEndian.Uint64(nonce[:])
	p.receive(l.peer, h.way)
	p.mu.Lock()
	p.signals[h.way.label] = h
	p.mu.Unlock()
	return h, nil
}

// drop gives up what newPunch prepared.
func (h *punch) drop() {
	h.paths.board.Unplug(h.way.label)
	h.paths.mu.Lock()
	defer h.paths.mu.Unlock()
	delete(h.paths.signals, h.way.label)
}

// reaches notes under which label the peer takes what we send.
func (h *punch) reaches(label switchboard.Label) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.theirs = label
}

// probe adds addresses to be probed.
func (h *punch) probe(at []netip.AddrPort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range at {
		a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		if a.IsValid() && a.Port() != 0 && !a.Addr().IsMulticast() && !a.Addr().IsUnspecified() && !a.Addr().IsLoopback() &&
			!slices.Contains(h.endpoints, a) && len(h.endpoints) < punchEndpoints {
			h.endpoints = append(h.endpoints, a)
		}
	}
}

// run probes until a way is found, and then keeps it open until it fails or
// the stream, over which it was arranged, ends.
func (h *punch) run(stream net.Conn) {
	defer close(h.over)
	defer h.drop()
	ended := make(chan struct{})
	h.mu.Lock()
	h.end = func() { _ = stream.Close() } // never fails
	h.mu.Unlock()
	h.paths.links.spawn(func() {
		untilEnd(stream)
		close(ended)
	})
	began := h.paths.links.wall.clock()
	tick := time.NewTicker(punchEvery)
	defer tick.Stop()
	for h.answeredAt().IsZero() {
		h.mu.Lock()
		h.round++
		round, to := h.round, slices.Clone(h.endpoints)
		h.mu.Unlock()
		for _, a := range to {
			h.paths.reach.contact(a.Addr())
			h.signal(signalProbe, h.nonce+round, a)
		}
		select {
		case <-tick.C:
			if h.paths.links.wall.clock().Sub(began) > punchFor && h.fail() {
				return
			}
		case <-ended:
			if h.fail() {
				return
			}
		case <-h.paths.links.ctx.Done():
			return
		}
	}
	h.keep(ended)
}

// fail lets no answer count any more. It reports false if one did.
func (h *punch) fail() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed = h.answered.IsZero()
	return h.failed
}

// keep probes the way that was found, so that translators remember it.
func (h *punch) keep(ended <-chan struct{}) {
	defer h.paths.ended(h.peer, h.way)
	clock := h.paths.links.wall.clock
	tick := time.NewTicker(keepAlive / 5)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ended:
			return
		case <-h.paths.links.ctx.Done():
			return
		}
		now := clock()
		at, ok := addrPortOf(h.way.hop.Carrier.Address())
		if silent := now.Sub(h.answeredAt()); !ok || silent > 2*keepAlive {
			return
		} else if silent < keepAlive-keepAlive/5 && now.Sub(time.Unix(0, h.way.heard.Load())) < keepAlive {
			continue
		}
		h.mu.Lock()
		h.round++
		round := h.round
		h.mu.Unlock()
		h.signal(signalProbe, h.nonce+round, at)
	}
}

func (h *punch) answeredAt() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.answered
}

func endpointStrings(at []netip.AddrPort) []string {
	var all []string
	for _, a := range at {
		all = append(all, a.String())
	}
	return all
}

// parseEndpoints reads addresses that a peer tells, and leaves out what is
// none.
func parseEndpoints(all []string) []netip.AddrPort {
	var at []netip.AddrPort
	for _, s := range all[:min(len(all), punchEndpoints)] {
		if a, err := netip.ParseAddrPort(s); err == nil {
			at = append(at, a)
		}
	}
	return at
}

// throughHole reports whether an ordinary connection with the peer's address
// runs through a hole that was made, or is being made.
func (p *paths) throughHole(id PeerID, at netip.AddrPort) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.signals {
		if h.peer == id && h.probes(at) {
			return true
		}
	}
	return false
}

// bothHidden reports whether neither this peer nor the other can be dialled, as
// far as it is known: then only a hole leads from one to the other.
func (p *paths) bothHidden(id PeerID) bool {
	d, _, _ := p.links.book.lookup(id)
	return len(d.Relays) > 0 && p.reach.hidden()
}

// probes reports whether an address is among those that are probed.
func (h *punch) probes(at netip.AddrPort) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.endpoints, at)
}
