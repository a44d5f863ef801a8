package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/mesh/frame"
	"github.com/slapmesh/slapmesh/mesh/path"
	"github.com/slapmesh/slapmesh/mesh/relay"
	"github.com/slapmesh/slapmesh/mesh/switchboard"
)

// Peers arrange ways over streams of kind 6: one frame asks, one answers, and
// then the stream stays open as long as what was arranged is wanted. Who ends
// it ends that, and so does whatever ends the connection.

const (
	pathFormat   = 1
	pathFrameMax = 1 << 10

	// relaySilence is how long a session may carry nothing before the relay
	// ends it.
	relaySilence = 2 * time.Minute
)

// What a stream of kind 6 asks for.
const (
	pathRelay  uint64 = 1 // carry packets between us and Peer
	pathAccept uint64 = 2 // said by a relay: take packets of Peer from us
	pathAnchor uint64 = 3 // keep this connection: others find us through you
	pathPunch  uint64 = 4 // make a hole with us, from our endpoints to yours
)

// pathRequest asks.
type pathRequest struct {
	Format uint64 `cbor:"1,keyasint"`
	Want   uint64 `cbor:"2,keyasint"`
	Peer   string `cbor:"3,keyasint,omitempty"`
	Label  uint64 `cbor:"4,keyasint,omitempty"` // for what is to reach us

	Endpoints []string `cbor:"5,keyasint,omitempty"` // IP:PORT at which we may be seen
	Mapping   string   `cbor:"6,keyasint,omitempty"` // of our translator

	Tried uint64 `cbor:"7,keyasint,omitempty"` // the descriptor of the one that is wanted whose addresses do not answer; 0: none was tried
}

// pathReply answers.
type pathReply struct {
	Format  uint64 `cbor:"1,keyasint"`
	Refused string `cbor:"2,keyasint,omitempty"`
	Label   uint64 `cbor:"3,keyasint,omitempty"` // for what is to reach the other end

	Endpoints []string `cbor:"4,keyasint,omitempty"`
}

// check holds a request to its bounds.
func (r pathRequest) check() error {
	if r.Format != pathFormat {
		return fmt.Errorf("path format %d is not known here (this peer speaks %d): use the same version of slapd", r.Format, pathFormat)
	}
	if r.Label == 0 && r.Want != pathAnchor {
		return errors.New("path request without a label")
	}
	if r.Want == pathRelay || r.Want == pathAccept {
		_, err := ParsePeerID(r.Peer)
		return err
	}
	return nil
}

var (
	errNoRelaying = errors.New("this peer does not relay")
	errNoLink     = errors.New("this peer holds no connection with it")
	errNoRelay    = errors.New("no relay has a connection with it")
)

// serve answers the streams of kind 6 until the mesh closes.
func (p *paths) serve(l *listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		p.links.spawn(func() {
			defer func() { _ = c.Close() }() // never fails
			if stream, ok := c.(*conn); ok {
				p.answer(stream)
			}
		})
	}
}

// answer does what one stream asks for, until it ends.
func (p *paths) answer(c *conn) {
	var r pathRequest
	_ = c.SetReadDeadline(p.links.wall.clock().Add(greeting)) // fails only if closed
	if err := frame.Read(c, pathFrameMax, &r); err != nil {
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	err := r.check()
	if err == nil {
		switch r.Want {
		case pathRelay:
			err = p.relay(c, r)
		case pathAccept:
			err = p.accept(c, r)
		case pathPunch:
			err = p.answerPunch(c, r)
		case pathAnchor:
			if err = frame.Write(c, pathReply{Format: pathFormat}); err == nil {
				untilEnd(c)
			}
		default:
			err = fmt.Errorf("path request %d is not known here: is the peer newer than this one?", r.Want)
		}
	}
	if err != nil {
		p.log.Debug("path request refused", "peer", c.remote.Short(), "err", err)
		_ = frame.Write(c, pathReply{Format: pathFormat, Refused: err.Error()}) // it may be gone
	}
}

// untilEnd waits for the end of a stream on which nothing more is said.
func untilEnd(c net.Conn) {
	_, _ = c.Read(make([]byte, 1)) // one more byte ends it as well
}

// relay carries packets between the peer at the other end of c and another
// one, until either ends it.
func (p *paths) relay(c *conn, r pathRequest) error {
	to := PeerID(r.Peer)
	l := p.links.held(to)
	switch {
	case p.desk == nil:
		return errNoRelaying
	case l == nil, p.carrier(l) == nil, p.carrier(c.link) == nil:
		return errNoLink
	}
	session, err := p.desk.Open(string(c.remote))
	if err != nil {
		return err
	}
	defer session.Close()
	asker := switchboard.Hop{Carrier: p.carrier(c.link), Label: switchboard.Label(r.Label)}
	back := p.pass(session, asker)
	defer p.board.Unplug(back)
	stream, reply, err := p.ask(p.links.ctx, l, pathRequest{Format: pathFormat, Want: pathAccept, Peer: string(c.remote), Label: uint64(back), Tried: r.Tried})
	if err != nil {
		return fmt.Errorf("the peer does not take it: %w", err)
	}
	defer func() { _ = stream.Close() }() // never fails
	forth := p.pass(session, switchboard.Hop{Carrier: p.carrier(l), Label: switchboard.Label(reply.Label)})
	defer p.board.Unplug(forth)
	if err := frame.Write(c, pathReply{Format: pathFormat, Label: uint64(forth)}); err != nil {
		return err
	}
	ended := make(chan struct{}, 2)
	for _, end := range []net.Conn{c, stream} {
		p.links.spawn(func() {
			untilEnd(end)
			ended <- struct{}{}
		})
	}
	silence := time.NewTicker(relaySilence)
	defer silence.Stop()
	for passed := uint64(0); ; {
		select {
		case <-ended:
			return nil
		case <-p.links.ctx.Done():
			return nil
		case <-silence.C:
			now := session.Passed()
			if now == passed {
				return nil
			}
			passed = now
		}
	}
}

// pass makes a label under which packets go on to a hop.
func (p *paths) pass(s *relay.Session, hop switchboard.Hop) switchboard.Label {
	label := newLabel()
	p.board.Plug(label, switchboard.Port{Next: func(n int) (switchboard.Hop, bool) { return hop, s.Pass(n) }})
	return label
}

// ask opens a stream of kind 6 and reads the answer.
func (p *paths) ask(ctx context.Context, l *link, r pathRequest) (net.Conn, pathReply, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*p.links.profile.Open)
	defer cancel()
	var reply pathReply
	counted := &l.streams
	if r.Want == pathAnchor || r.Want == pathPunch {
		counted = &l.kept
	}
	c, err := p.open(ctx, l, kindPath, counted)
	if err != nil {
		return nil, reply, err
	}
	stop := context.AfterFunc(ctx, func() { c.(HalfCloser).Reset() })
	if err = frame.Write(c, r); err == nil {
		err = frame.Read(c, pathFrameMax, &reply)
	}
	switch {
	case !stop():
		err = ctx.Err()
	case err == nil && reply.Refused != "":
		err = errors.New(reply.Refused)
	case err == nil && reply.Format != pathFormat:
		err = fmt.Errorf("path answer in format %d", reply.Format)
	}
	if err != nil {
		_ = c.Close() // never fails
		return nil, reply, err
	}
	return c, reply, nil
}

// accept takes packets of a peer from a relay, and sends it ours that way,
// until the relay ends it.
func (p *paths) accept(c *conn, r pathRequest) error {
	from := PeerID(r.Peer)
	at := p.carrier(c.link)
	if _, _, known := p.links.book.lookup(from); !known || p.links.wall.revoked(from) || at == nil || from == c.remote {
		return errors.New("this peer does not know it")
	}
	w := &way{
		kind: path.Relayed, via: c.remote, end: func() { _ = c.Close() },
		hop: switchboard.Hop{Carrier: at, Label: switchboard.Label(r.Label)},
	}
	p.receive(from, w)
	if !p.add(from, w) {
		p.board.Unplug(w.label)
		return errors.New("this peer has too many ways to it")
	}
	defer p.ended(from, w)
	p.reach.relayed(r.Tried)
	if err := frame.Write(c, pathReply{Format: pathFormat, Label: uint64(w.label)}); err != nil {
		return err
	}
	untilEnd(c)
	return nil
}

// through opens a way to a peer through a relay, and keeps it until it ends.
func (p *paths) through(ctx context.Context, via, to PeerID, tried uint64) error {
	l, err := p.links.neighbour(ctx, via)
	if err != nil {
		return err
	}
	at := p.carrier(l)
	if at == nil {
		return errNoRelay
	}
	w := &way{kind: path.Relayed, via: via}
	p.receive(to, w)
	c, reply, err := p.ask(ctx, l, pathRequest{Format: pathFormat, Want: pathRelay, Peer: string(to), Label: uint64(w.label), Tried: tried})
	if err != nil {
		p.board.Unplug(w.label)
		return fmt.Errorf("through %s: %w", via.Short(), err)
	}
	w.hop = switchboard.Hop{Carrier: at, Label: switchboard.Label(reply.Label)}
	w.end = sync.OnceFunc(func() { _ = c.Close() }) // never fails
	if !p.add(to, w) {
		p.board.Unplug(w.label)
		w.end()
		return errors.New("there are too many ways to it")
	}
	p.links.spawn(func() { //nolint:contextcheck // the way outlives the call that opens it
		untilEnd(c)
		w.end()
		p.ended(to, w)
	})
	return nil
}

const (
	// mendings is how often another relay is looked for, mendPause how long to
	// wait after one try: the peer may be looking for relays too.
	mendings  = 4
	mendPause = 500 * time.Millisecond
)

// ended forgets a way that ended, and looks for another one if connections
// still run on it. Without one they end too.
func (p *paths) ended(to PeerID, w *way) {
	p.remove(to, w)
	for range mendings {
		if p.links.ctx.Err() != nil || p.links.virtuals(to) == 0 || p.present(to) != nil {
			return
		}
		ctx, cancel := context.WithTimeout(p.links.ctx, p.links.profile.Open)
		err := p.relayed(ctx, to, 0)
		cancel()
		if err == nil {
			return
		}
		p.log.Debug("no other relay", "peer", to.Short(), "err", err)
		pause := time.NewTimer(mendPause)
		select {
		case <-pause.C:
		case <-p.links.ctx.Done():
			pause.Stop()
			return
		}
	}
	p.links.endVirtual(to)
}

const (
	// relaysAsked is how many relays are asked for one peer, relayStagger how
	// long each may keep silent before the next is asked beside it.
	relaysAsked  = 4
	relayStagger = 300 * time.Millisecond
)

// relayed opens a way through the first relay that has a connection with the
// peer. It tells the peer of which descriptor the addresses were tried in vain
// (0: none), for so one learns that it is hidden.
func (p *paths) relayed(ctx context.Context, to PeerID, tried uint64) error {
	relays := p.relays(to)
	if len(relays) == 0 {
		return errNoRelay
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan error, len(relays))
	errs := []error{errNoRelay}
	next := time.NewTimer(0)
	defer next.Stop()
	for asked, answered := 0, 0; answered < len(relays); {
		select {
		case <-next.C:
			via := relays[asked]
			p.links.spawn(func() { results <- p.through(ctx, via, to, tried) })
			if asked++; asked < len(relays) {
				next.Reset(relayStagger)
			}
		case err := <-results:
			if err == nil {
				return nil
			}
			errs = append(errs, err)
			if answered++; asked < len(relays) {
				next.Reset(0)
			}
		case <-p.links.ctx.Done():
			return net.ErrClosed
		}
	}
	return errors.Join(errs...)
}

// relays lists who may carry packets to a peer: those that it names, then
// those that this one names, then others with which it holds connections.
func (p *paths) relays(to PeerID) []PeerID {
	var all []PeerID
	add := func(id PeerID) {
		if d, _, ok := p.links.book.lookup(id); ok && !d.NoRelay && !slices.Contains(all, id) && id != to && id != p.links.wall.identity.ID() && len(all) < relaysAsked {
			all = append(all, id)
		}
	}
	theirs, _, _ := p.links.book.lookup(to)
	for _, id := range theirs.Relays {
		add(id)
	}
	own, _, _ := p.links.book.lookup(p.links.wall.identity.ID())
	for _, id := range own.Relays {
		add(id)
	}
	for _, l := range p.links.all() {
		if p.carrier(l) != nil && !l.retired.Load() && l.alive() {
			add(l.peer)
		}
	}
	return all
}
