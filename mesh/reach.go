package mesh

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slapmesh/slapmesh/mesh/nat"
	"github.com/slapmesh/slapmesh/mesh/path"
)

const (
	// contactsKept and observersKept bound what is remembered of addresses.
	contactsKept  = 4096
	observersKept = 64
	// contactMemory is how long a translator or firewall may let somebody in
	// because something was sent there.
	contactMemory = 10 * time.Minute
	// hiddenFor is how long a peer that somebody could not reach takes itself
	// for hidden.
	hiddenFor = 10 * time.Minute
	// anchorsWanted is how many relays a hidden peer holds on to.
	anchorsWanted = 2
	// anchorCheck is how often it looks after them.
	anchorCheck = 2 * time.Second
)

// reach is what this peer learns of how others reach it.
type reach struct {
	clock func() time.Time

	mu        sync.Mutex
	own       []netip.Addr                   // addresses of the computer
	seen      map[netip.Addr]nat.Observation // the latest of each observer
	contacted map[netip.Addr]time.Time       // where something was sent
	proven    time.Time                      // when somebody came in uncalled last
	refuted   time.Time                      // when somebody had to come through a relay
	told      uint64                         // the descriptor that was the first to tell the present addresses
	mapped    netip.AddrPort                 // the router's port that leads here
	mapper    string                         // how that was asked for
	double    bool                           // the router is behind another translator
	changed   chan struct{}                  // receives a value when there is news
}

func newReach(clock func() time.Time) *reach {
	return &reach{
		clock: clock,
		seen:  map[netip.Addr]nat.Observation{}, contacted: map[netip.Addr]time.Time{}, changed: make(chan struct{}, 1),
	}
}

// contact notes that something is sent to an address: what comes from there
// later proves nothing.
func (r *reach) contact(to netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	if len(r.contacted) >= contactsKept {
		maps.DeleteFunc(r.contacted, func(_ netip.Addr, at time.Time) bool { return now.Sub(at) > contactMemory })
		if len(r.contacted) >= contactsKept {
			clear(r.contacted)
			r.proven = now // it has so many contacts that it hardly hides
		}
	}
	r.contacted[to.Unmap()] = now
}

// incoming notes that a connection came in from an address.
func (r *reach) incoming(from netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	if at, ok := r.contacted[from.Unmap()]; ok && now.Sub(at) < contactMemory {
		return
	}
	if !nat.Proves(r.verdictLocked(), from) {
		return
	}
	if r.proven.IsZero() || !r.refuted.IsZero() {
		r.tell()
	}
	r.proven, r.refuted = now, time.Time{}
}

// tells notes that a descriptor is the first to tell the present addresses.
func (r *reach) tells(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = seq
}

// relayed notes that somebody came through a relay, who tried the addresses of
// a descriptor before, or none (0). It proves nothing where those are addresses
// that this peer had earlier.
func (r *reach) relayed(tried uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if tried != 0 && tried >= r.told {
		r.refuteLocked()
	}
}

// refute notes that others do not reach this peer, for all it knows.
func (r *reach) refute() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuteLocked()
}

// refuteLocked does nothing as long as others come uncalled: a relay is tried
// after 0.4 s, which on a slow or lossy line a handshake takes with anybody.
func (r *reach) refuteLocked() {
	now := r.clock()
	if !r.proven.IsZero() && now.Sub(r.proven) < hiddenFor {
		return
	}
	if !r.proven.IsZero() || r.refuted.IsZero() {
		r.tell()
	}
	r.proven, r.refuted = time.Time{}, now
}

// observe notes at which address another peer sees this one.
func (r *reach) observe(by netip.Addr, seen netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	by = by.Unmap()
	if old, ok := r.seen[by]; !ok || old.Seen != seen {
		r.tell()
	}
	if _, ok := r.seen[by]; !ok && len(r.seen) >= observersKept {
		oldest := by
		for a, o := range r.seen {
			if oldest == by || o.At.Before(r.seen[oldest].At) {
				oldest = a
			}
		}
		delete(r.seen, oldest)
	}
	r.seen[by] = nat.Observation{By: by, Seen: seen, At: r.clock()}
}

// at notes the addresses of the computer. If they are others than before,
// what was observed at the other place is forgotten.
func (r *reach) at(own []netip.Addr) (moved bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(own, netip.Addr.Compare)
	moved = r.own != nil && !slices.Equal(r.own, own)
	r.own = own
	if moved {
		r.forgetLocked()
	}
	return moved
}

func (r *reach) forgetLocked() {
	clear(r.seen)
	clear(r.contacted)
	r.proven, r.refuted = time.Time{}, time.Time{}
	r.tell()
}

// setMapped notes that the router lets others in at an address, or at none.
func (r *reach) setMapped(at netip.AddrPort, by string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := slices.ContainsFunc(r.verdictLocked().External, func(e netip.AddrPort) bool { return e.Addr() == at.Addr() })
	r.double = at.IsValid() && !seen && !nat.Public(at.Addr())
	if r.double {
		at, by = netip.AddrPort{}, "" // it leads nowhere
	}
	if r.mapped != at {
		r.tell()
	}
	r.mapped, r.mapper = at, by
}

// mapping returns the router's port that leads here, if there is one, and how
// it was asked for.
func (r *reach) mapping() (at netip.AddrPort, by string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mapped, r.mapper
}

// tell wakes who waits for news.
func (r *reach) tell() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *reach) verdictLocked() nat.Verdict {
	return nat.Classify(r.own, slices.Collect(maps.Values(r.seen)))
}

// addresses lists those of the computer.
func (r *reach) addresses() []netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.own)
}

// verdict says what stands between this peer and others.
func (r *reach) verdict() nat.Verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.verdictLocked()
}

// kind says in one word what stands between this peer and others. Who comes in
// by a port that the router was asked for says nothing about that.
func (r *reach) kind() nat.Kind {
	r.mu.Lock()
	defer r.mu.Unlock()
	entry := nat.EntryUnknown
	switch {
	case r.mapped.IsValid():
	case r.refutedLocked():
		entry = nat.EntryClosed
	case !r.proven.IsZero():
		entry = nat.EntryOpen
	}
	return r.verdictLocked().Kind(entry)
}

// behindTwo reports whether the router is behind another translator.
func (r *reach) behindTwo() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.double
}

// refutedLocked reports whether somebody could not reach this peer of late.
func (r *reach) refutedLocked() bool {
	return !r.refuted.IsZero() && r.clock().Sub(r.refuted) < hiddenFor
}

// hidden reports whether others need help to reach this peer.
func (r *reach) hidden() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refutedLocked() {
		return true
	}
	return r.proven.IsZero() && len(r.verdictLocked().External) > 0
}

// seenDatagram tells the other end where it is seen.
func seenDatagram(at netip.AddrPort) []byte {
	b, err := netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).MarshalBinary()
	if err != nil {
		return nil // never: an address has a form
	}
	return append([]byte{datagramSeen}, b...)
}

// parseSeen reads what seenDatagram wrote, without the first byte.
func parseSeen(b []byte) (netip.AddrPort, bool) {
	var at netip.AddrPort
	if len(b) != 6 && len(b) != 18 {
		return at, false
	}
	err := at.UnmarshalBinary(b)
	return at, err == nil && at.IsValid() && at.Port() != 0 && !at.Addr().IsUnspecified()
}

// addrPortOf is the address at the other end of an ordinary connection.
func addrPortOf(a net.Addr) (netip.AddrPort, bool) {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}, false
	}
	at := u.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), at.IsValid()
}

// anchor holds on to relays while this peer is hidden, and tells others of
// them, until ctx is done.
func (m *Mesh) anchor(ctx context.Context) {
	held := map[PeerID]*anchored{}
	defer func() {
		for _, a := range held {
			a.end()
		}
	}()
	tick := time.NewTicker(anchorCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-m.paths.reach.changed:
		}
		for id, a := range held {
			if a.over() {
				a.end()
				delete(held, id)
			}
		}
		wanted := m.anchorsWanted(slices.Collect(maps.Keys(held)))
		for id, a := range held {
			if !slices.Contains(wanted, id) {
				a.end()
				delete(held, id)
			}
		}
		for _, id := range wanted {
			if held[id] == nil {
				if a := m.paths.hold(ctx, id); a != nil {
					held[id] = a
				}
			}
		}
		m.sayAnchors(slices.Sorted(maps.Keys(held)))
	}
}

// anchorsWanted chooses relays.
func (m *Mesh) anchorsWanted(held []PeerID) []PeerID {
	if !m.paths.reach.hidden() {
		return nil
	}
	var candidates, kept []string
	for _, other := range m.book.members() {
		d, _, _ := m.book.lookup(other.ID)
		if other.State == StateAlive && other.Path != PathSelf && !d.NoRelay && len(d.Relays) == 0 && m.links.dialled(other.ID) {
			candidates = append(candidates, string(other.ID))
		}
	}
	slices.Sort(held)
	for _, id := range held {
		kept = append(kept, string(id))
	}
	var wanted []PeerID
	for _, id := range path.Anchors(string(m.Self()), kept, candidates, anchorsWanted) {
		wanted = append(wanted, PeerID(id))
	}
	return wanted
}

// sayAnchors publishes a descriptor if what it says of reachability changed.
func (m *Mesh) sayAnchors(relays []PeerID) {
	m.relays.Store(&relays)
	own := m.gossip.own.Load()
	if own.Left || slices.Equal(own.Relays, relays) && slices.Equal(own.Addresses, m.addresses()) && own.NAT == m.paths.reach.kind() {
		return
	}
	m.tell(false)
}

// anchored is a connection that is held so that others find this peer.
type anchored struct {
	stream net.Conn
	link   *link
	ended  atomic.Bool
}

// over reports whether it ended, or another connection replaces it.
func (a *anchored) over() bool { return a.ended.Load() || a.link.retired.Load() }

// end lets the connection go.
func (a *anchored) end() { _ = a.stream.Close() } // never fails

// hold asks a relay to keep a connection; nil if it does not.
func (p *paths) hold(ctx context.Context, id PeerID) *anchored {
	l := p.links.held(id)
	if l == nil {
		return nil
	}
	stream, _, err := p.ask(ctx, l, pathRequest{Format: pathFormat, Want: pathAnchor})
	if err != nil {
		p.log.Debug("relay not held", "peer", id.Short(), "err", err)
		return nil
	}
	a := &anchored{stream: stream, link: l}
	p.links.spawn(func() {
		untilEnd(stream)
		_ = stream.Close() // never fails
		a.ended.Store(true)
		p.reach.tell()
	})
	return a
}
