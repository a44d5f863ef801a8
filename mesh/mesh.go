package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/slapmesh/slapmesh/mesh/nat"
	"github.com/slapmesh/slapmesh/mesh/relay"
	"github.com/slapmesh/slapmesh/mesh/switchboard"
	"github.com/slapmesh/slapmesh/mesh/tiers"
)

// A Mesh is one peer's place in a mesh: whom it knows, and streams from and
// to them.
type Mesh struct {
	// set once
	config  Config
	wall    *wall
	book    *book
	links   *links
	streams *streams
	gossip  *gossip
	tiers   *tiers.Tiers
	board   *switchboard.Board
	paths   *paths
	relays  atomic.Pointer[[]PeerID] // that this peer names

	seeded chan struct{} // receives a value when there are new seeds
	hurry  chan struct{} // receives a value when the certificate should be renewed before it is due

	closing  sync.Once
	closeErr error
}

// Open makes a peer reachable: it listens, but knows nobody before AddSeeds
// or a restart in the same Dir, and looks for others only in Run. It does not
// wait for the network.
func Open(c Config) (*Mesh, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	w, err := newWall(c)
	if err != nil {
		return nil, fmt.Errorf("open mesh: %w", err)
	}
	if c.Socket == nil {
		if c.Socket, err = Bind(c.Listen); err != nil {
			return nil, err
		}
	}
	m := &Mesh{config: c, wall: w, book: newBook(c.Identity.ID(), c.Clock), seeded: make(chan struct{}, 1), hurry: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(context.Background()) //nolint:forbidigo // a mesh outlives the call that opens it; Close ends it
	m.board = switchboard.New(c.Socket)
	m.links = &links{
		wall: w, book: m.book, profile: c.Profile, sources: &sources{clock: c.Clock}, log: c.Log,
		ctx: ctx, stop: stop, transport: newTransport(m.board.Socket(), c.Identity, c.Clock),
		socket:  c.Socket,
		virtual: &quic.Transport{Conn: m.board.Virtual(), ConnectionIDLength: 8},
		conns:   map[PeerID][]*link{}, dials: map[PeerID]*dialling{}, backoff: map[PeerID]*backoff{},
	}
	m.streams = &streams{self: m.Self(), links: m.links, authorize: c.Authorize, log: c.Log, listeners: make(map[Kind]*listener)}
	entrance := &door{wall: w, book: m.book, admitter: c.Admitter, meshName: c.Credentials.MeshName, log: c.Log, slots: make(chan struct{}, joinsAtOnce)}
	if _, real := c.Socket.(*net.UDPConn); real {
		entrance.knock = knockFrom
	}
	m.paths = &paths{
		links: m.links, board: m.board, reach: newReach(c.Clock), open: m.streams.openOn,
		log: c.Log, peers: map[PeerID]*pathway{}, signals: map[switchboard.Label]*punch{}, bearings: map[switchboard.Label]*bearing{}, punched: map[PeerID]time.Time{}, improved: map[PeerID]time.Time{},
	}
	if !c.NoRelay {
		m.paths.desk = relay.NewDesk(c.Relay, c.Clock)
	}
	m.paths.reach.at(m.ownAddresses())
	m.links.paths, m.board.OnSignal = m.paths, m.paths.onSignal
	m.links.onStream, m.links.onRemoved = m.streams.accept, c.Removed
	m.links.onJoin = func(q *quic.Conn) { entrance.serve(ctx, q) }
	if err := m.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("open mesh: %w", err), m.Close())
	}
	return m, nil
}

// start begins to listen and to gossip.
func (m *Mesh) start() error {
	if err := m.book.load(m.config.Dir, m.wall.meshID); err != nil {
		m.config.Log.Warn("known peers not readable", "err", err)
	}
	own, err := m.describe(false)
	if err != nil {
		return err
	}
	m.paths.reach.tells(own.Seq)
	m.gossip = newGossip(m.wall, m.book, m.links, m.streams, own, m.config.Log)
	m.tiers = newTiers(m)
	m.gossip.tiers = m.tiers
	m.book.mark(m.Self(), StateAlive)
	if _, err := m.gossip.start(); err != nil {
		return err
	}
	arrangements := m.streams.listen(kindPath)
	m.links.spawn(func() { m.paths.serve(arrangements) })
	return m.links.start()
}

// describe makes this peer's descriptor, newer than any before.
func (m *Mesh) describe(left bool) (Descriptor, error) {
	seq := uint64(m.config.Clock().UnixMilli())
	if old, _, ok := m.book.lookup(m.Self()); ok {
		seq = max(seq, old.Seq+1)
	}
	var relays []PeerID
	if r := m.relays.Load(); r != nil {
		relays = *r
	}
	return signDescriptor(m.config.Identity, m.wall.meshID, Descriptor{
		Name:      m.config.Name,
		Addresses: m.addresses(),
		Host:      m.config.Host,
		Seq:       seq,
		Left:      left,
		Relays:    relays,
		NoRelay:   m.config.NoRelay,
		NAT:       m.paths.reach.kind(),
		voucher:   voucherOf(m.wall.leaf()),
	})
}

// addresses lists where others reach this peer: as it was told, or at the
// addresses of the computer and the one that others see, if that is the same
// for all of them.
func (m *Mesh) addresses() []string {
	if len(m.config.Advertise) > 0 {
		return m.config.Advertise
	}
	all := interfaceAddresses(m.config.Socket.LocalAddr())
	first := func(at netip.AddrPort) {
		outside := at.String()
		all = append([]string{outside}, slices.DeleteFunc(all, func(a string) bool { return a == outside })...)
	}
	if v := m.paths.reach.verdict(); v.Mapping == nat.Independent {
		first(v.External[0])
	}
	if at, _ := m.paths.reach.mapping(); at.IsValid() {
		first(at)
	}
	return all[:min(len(all), maxAddresses)]
}

// ownAddresses lists the addresses of this computer.
func (m *Mesh) ownAddresses() []netip.Addr {
	var own []netip.Addr
	for _, a := range interfaceAddresses(m.config.Socket.LocalAddr()) {
		if at, err := netip.ParseAddrPort(a); err == nil {
			own = append(own, at.Addr().Unmap())
		}
	}
	return own
}

// Self is this peer.
func (m *Mesh) Self() PeerID { return m.config.Identity.ID() }

// ID names the mesh.
func (m *Mesh) ID() string { return m.wall.meshID }

// Addr is the address of the socket.
func (m *Mesh) Addr() net.Addr { return m.config.Socket.LocalAddr() }

// Digest is the digest of the mesh's CA, for tokens and fingerprints.
func (m *Mesh) Digest() [32]byte { return m.wall.own().digest }

// Members lists the peers that are known, this one among them, sorted by
// name.
func (m *Mesh) Members() []Member {
	all := m.book.members()
	for i := range all {
		if l := m.links.held(all[i].ID); l != nil {
			all[i].Path, all[i].Via = m.links.how(l)
		}
	}
	return all
}

// Watch returns a channel that receives a value after Members changed.
// Changes that come close together may be told once. The channel lives as
// long as the mesh.
func (m *Mesh) Watch() <-chan struct{} { return m.book.watch() }

// Seeds returns the descriptors of all known peers, for AddSeeds of another.
func (m *Mesh) Seeds() []Descriptor { return m.book.descriptors() }

// AddSeeds tells of peers to look for.
func (m *Mesh) AddSeeds(seeds []Descriptor) {
	for _, d := range seeds {
		checked, err := parseDescriptor(d.encoded, m.wall.meshID)
		if err != nil || checked.Peer == m.Self() {
			continue
		}
		// That a word is old is no matter here: this peer's clock may be wrong,
		// which it learns when it connects.
		if err := m.wall.believes(checked); err == nil || errors.Is(err, errOldWord) {
			m.book.put(checked)
		}
	}
	select {
	case m.seeded <- struct{}{}:
	default:
	}
}

// Keeper reports whether the CA vouches that a peer may keep the ledger. It is
// for who has not read the ledger, which knows better: the word is as old as
// the peer's certificate.
func (m *Mesh) Keeper(peer PeerID) bool {
	d, _, ok := m.book.lookup(peer)
	if peer == m.Self() {
		d.voucher = voucherOf(m.wall.leaf()) // it may not be published yet
	}
	if !ok {
		return false
	}
	v, err := m.wall.vouched(d)
	return err == nil && v.keeper
}

// Vouched reports whether the certificate of this peer says that others are
// vouched for too, so that who is not may not be believed.
func (m *Mesh) Vouched() bool { return voucherOf(m.wall.leaf()) != nil }

// Dial opens a stream of a kind to a peer. It returns once the peer accepted
// it. A dead peer costs no more than the profile's Handshake time.
func (m *Mesh) Dial(ctx context.Context, peer PeerID, kind Kind) (net.Conn, error) {
	c, err := m.streams.open(ctx, peer, kind)
	if err != nil {
		return nil, &net.OpError{Op: "dial " + kind.String(), Net: "mesh", Addr: Addr{peer}, Err: err}
	}
	return c, nil
}

// Listen accepts streams of a kind from others and from this peer. There is
// one listener for each kind at a time; a second one accepts nothing.
func (m *Mesh) Listen(kind Kind) net.Listener { return m.streams.listen(kind) }

// Disconnect ends all connections with a peer that left or was removed, and
// forgets it. Who was removed, as Config.Revoked says, is told so and kept
// out.
func (m *Mesh) Disconnect(peer PeerID) {
	if m.wall.revoked(peer) {
		m.links.disconnect(peer, codeRemoved, "removed from the mesh")
	} else {
		m.links.disconnect(peer, codeUnknown, "forgotten")
	}
	m.book.forget(peer)
	m.tiers.Forget(string(peer))
}

// Leave says goodbye, so that others need not find out.
func (m *Mesh) Leave(ctx context.Context) error {
	d, err := m.describe(true)
	if err != nil {
		return fmt.Errorf("leave mesh: %w", err)
	}
	done := make(chan error, 1)
	m.links.spawn(func() {
		const wait = 3 * time.Second
		err := m.gossip.say(d, wait)
		m.tiers.Leave(d.encoded)
		done <- errors.Join(err, m.gossip.leave(wait))
	})
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	case <-m.links.ctx.Done():
		err = net.ErrClosed
	}
	if err != nil {
		return fmt.Errorf("leave mesh: %w", err)
	}
	return nil
}

// Close ends all streams and connections and closes the socket. It waits for
// what runs; Run is to be ended by its context.
func (m *Mesh) Close() error {
	m.closing.Do(func() {
		var errs []error
		m.streams.close()
		if m.gossip != nil {
			errs = append(errs, m.gossip.stop())
		}
		errs = append(errs, m.links.close(), m.book.save(m.config.Dir, m.wall.meshID))
		m.closeErr = errors.Join(errs...)
	})
	return m.closeErr
}
