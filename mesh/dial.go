package mesh

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/slapmesh/slapmesh/mesh/path"
)

const (
	// dialStagger is how long one address may keep silent before the next is
	// tried beside it.
	dialStagger = 150 * time.Millisecond

	backoffMin = time.Second
	backoffMax = 30 * time.Second
)

// backoff keeps gossip from dialling a dead peer again and again.
type backoff struct {
	wait  time.Duration
	until time.Time
}

// get returns a connection to a peer, and makes one if there is none.
func (s *links) get(ctx context.Context, id PeerID) (*link, error) {
	s.mu.Lock()
	if l := s.heldLocked(id); l != nil {
		s.mu.Unlock()
		return l, nil
	}
	d := s.dialLocked(id)
	s.mu.Unlock()
	select {
	case <-d.done:
		return d.link, d.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// gossip sends a datagram to a peer, now or once a connection is made. It
// never blocks; what cannot be sent is dropped, as gossip may be.
func (s *links) gossip(id PeerID, b []byte) {
	s.mu.Lock()
	l := s.heldLocked(id)
	if l == nil {
		defer s.mu.Unlock()
		if o := s.backoff[id]; o != nil && s.wall.clock().Before(o.until) {
			return
		}
		if d := s.dialLocked(id); len(d.pending) < pendingGossip {
			d.pending = append(d.pending, b)
		}
		return
	}
	s.mu.Unlock()
	l.send(b, s.spawn)
}

// dialLocked begins to connect to a peer, or joins in what is under way.
func (s *links) dialLocked(id PeerID) *dialling {
	if d, ok := s.dials[id]; ok {
		return d
	}
	d := &dialling{done: make(chan struct{})}
	if s.closed {
		d.err = net.ErrClosed
		close(d.done)
		return d
	}
	s.dials[id] = d
	s.wg.Go(func() {
		d.link, d.err = s.dial(s.ctx, id)
		s.mu.Lock()
		delete(s.dials, id)
		pending := d.pending
		if d.err != nil {
			o := s.backoff[id]
			if o == nil {
				o = &backoff{wait: backoffMin / 2}
				s.backoff[id] = o
			}
			o.wait = min(2*o.wait, backoffMax)
			o.until = s.wall.clock().Add(o.wait)
		}
		s.mu.Unlock()
		close(d.done)
		if d.err != nil {
			s.lost(id)
			s.log.Debug("peer cannot be reached", "peer", id.Short(), "err", d.err)
			return
		}
		for _, b := range pending {
			d.link.send(b, s.spawn)
		}
	})
	return d
}

// lost notes that a peer does not answer, unless it did in another way
// meanwhile: who moved while it was dialled at the old address is held already.
func (s *links) lost(id PeerID) {
	if s.held(id) != nil {
		return
	}
	s.book.lost(id)
	if l := s.held(id); l != nil {
		s.noteReached(l)
	}
}

// dial connects to a peer at any of its addresses.
func (s *links) dial(ctx context.Context, id PeerID) (*link, error) {
	if s.wall.revoked(id) {
		return nil, errors.New("the peer was removed from the mesh")
	}
	descriptor, last, ok := s.book.lookup(id)
	if !ok {
		return nil, errNoAddress
	}
	own, _, _ := s.book.lookup(s.wall.identity.ID())
	addresses := candidates(descriptor, last, own.Host)
	plan := path.Plan(path.Target{
		Addresses: len(addresses),
		Relays:    len(s.paths.relays(id)),
		Hidden:    len(descriptor.Relays) > 0,
		TCP:       s.fallback != nil,
		UDP:       s.hears(),
	})
	if len(plan) == 0 {
		return nil, errNoAddress
	}
	var tried uint64
	if len(addresses) > 0 {
		tried = descriptor.Seq
	}
	return s.attempt(ctx, plan, func(ctx context.Context, kind path.Kind) (*link, error) {
		switch kind {
		case path.Relayed:
			return s.dialRelayed(ctx, id, tried)
		case path.TCP:
			return s.dialTCP(ctx, id, addresses)
		default:
			return s.dialDirect(ctx, id, addresses)
		}
	})
}

// hears reports whether any connection shows that UDP passes.
func (s *links) hears() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, held := range s.conns {
		for _, l := range held {
			if !l.virtual && l.alive() {
				return true
			}
		}
	}
	return false
}

// attempt follows a plan and returns the first connection. A better one that
// is still being made then may come later.
func (s *links) attempt(ctx context.Context, plan []path.Attempt, try func(context.Context, path.Kind) (*link, error)) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, s.profile.Handshake)
	type result struct {
		link *link
		err  error
	}
	results := make(chan result, len(plan))
	next := time.NewTimer(plan[0].After)
	defer next.Stop()
	var errs []error
	for begun, failed := 0, 0; failed < len(plan); {
		select {
		case <-next.C:
			kind := plan[begun].Kind
			s.wg.Go(func() { // the caller is among those that close waits for
				l, err := try(ctx, kind)
				results <- result{l, err}
			})
			if begun++; begun < len(plan) {
				next.Reset(plan[begun].After - plan[begun-1].After)
			}
		case r := <-results:
			if r.err == nil {
				pending := begun - failed - 1
				if !r.link.virtual {
					cancel()
				}
				s.wg.Go(func() {
					defer cancel()
					for range pending {
						<-results
					}
				})
				return r.link, nil
			}
			errs = append(errs, r.err)
			if failed++; failed == begun && begun < len(plan) {
				next.Reset(0)
			}
		}
	}
	cancel()
	return nil, errors.Join(errs...)
}

// dialDirect makes an ordinary connection.
func (s *links) dialDirect(ctx context.Context, id PeerID, addresses []string) (*link, error) {
	for _, a := range addresses {
		if at, err := netip.ParseAddrPort(a); err == nil {
			s.paths.reach.contact(at.Addr())
		}
	}
	c, err := dialAny(ctx, s.transport, addresses, func() *tls.Config { return s.wall.client(id) }, quicConfig(s.profile))
	if err != nil {
		return nil, err
	}
	return s.adopted(&link{conn: c, dialled: true})
}

// dialRelayed makes a connection that another peer carries.
func (s *links) dialRelayed(ctx context.Context, id PeerID, tried uint64) (*link, error) {
	if err := s.paths.relayed(ctx, id, tried); err != nil {
		return nil, err
	}
	return s.dialVirtual(ctx, id)
}

// dialVirtual makes a connection over the ways that are open.
func (s *links) dialVirtual(ctx context.Context, id PeerID) (*link, error) {
	c, err := s.virtual.Dial(ctx, virtualAddr(id), s.wall.client(id), virtualConfig(s.profile))
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", id.Short(), err)
	}
	return s.adopted(&link{conn: c, dialled: true, virtual: true})
}

func (s *links) adopted(l *link) (*link, error) {
	if l = s.adopt(l); l == nil {
		return nil, net.ErrClosed
	}
	return l, nil
}

// neighbour returns a connection to a peer that needs no relay.
func (s *links) neighbour(ctx context.Context, id PeerID) (*link, error) {
	if l := s.held(id); l != nil && s.paths.carrier(l) != nil {
		return l, nil
	}
	descriptor, last, ok := s.book.lookup(id)
	own, _, _ := s.book.lookup(s.wall.identity.ID())
	addresses := candidates(descriptor, last, own.Host)
	if !ok || len(addresses) == 0 || s.wall.revoked(id) {
		return nil, errNoAddress
	}
	plan := path.Plan(path.Target{Addresses: len(addresses), TCP: s.fallback != nil, UDP: s.hears()})
	return s.attempt(ctx, plan, func(ctx context.Context, kind path.Kind) (*link, error) {
		if kind == path.TCP {
			return s.dialTCP(ctx, id, addresses)
		}
		return s.dialDirect(ctx, id, addresses)
	})
}

// candidates lists where a peer may be reached: where it was reached last,
// and at what it says. Loopback addresses count on the same host only.
func candidates(d Descriptor, last, ownHost string) []string {
	var all []string
	for _, a := range append([]string{last}, d.Addresses...) {
		ap, err := netip.ParseAddrPort(a)
		elsewhere := err == nil && ap.Addr().IsLoopback() && d.Host != ownHost
		if a != "" && !elsewhere && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

// dialAny connects to the first address that answers, and tries the next
// ones beside it if it takes its time.
func dialAny(ctx context.Context, t *quic.Transport, addresses []string, tlsConfig func() *tls.Config, config *quic.Config) (*quic.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	type result struct {
		conn *quic.Conn
		err  error
	}
	results := make(chan result)
	next := time.NewTimer(dialStagger)
	defer next.Stop()
	tried, running := 0, 0
	try := func() {
		if tried == len(addresses) {
			return
		}
		address := addresses[tried]
		tried++
		running++
		go func() {
			c, err := dialOne(ctx, t, address, tlsConfig(), config)
			results <- result{c, err}
		}()
		next.Reset(dialStagger)
	}
	try()
	var errs []error
	var winner *quic.Conn
	for winner == nil && (running > 0 || tried < len(addresses)) {
		select {
		case <-next.C:
			try()
		case r := <-results:
			running--
			winner = r.conn
			if r.err != nil {
				errs = append(errs, r.err)
				try()
			}
		}
	}
	cancel()
	for range running {
		if r := <-results; r.conn != nil {
			_ = r.conn.CloseWithError(codeSurplus, "another address was faster")
		}
	}
	if winner != nil {
		return winner, nil
	}
	return nil, errors.Join(errs...)
}

// dialOne connects to one address.
func dialOne(ctx context.Context, t *quic.Transport, address string, tlsConfig *tls.Config, config *quic.Config) (*quic.Conn, error) {
	to, err := resolve(ctx, address)
	if err != nil {
		return nil, err
	}
	c, err := t.Dial(ctx, to, tlsConfig, config)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return c, nil
}
