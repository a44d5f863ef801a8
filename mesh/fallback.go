package mesh

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/slapmesh/slapmesh/mesh/path"
	"github.com/slapmesh/slapmesh/mesh/switchboard"
	"github.com/slapmesh/slapmesh/mesh/tcp"
)

// Where UDP does not pass, a TLS connection over TCP to the same port number
// carries the packets of QUIC. Its handshake is that of QUIC: who does not
// prove to know the mesh sees no certificate. Everything else, the newcomer's
// request too, goes over QUIC within it.

const (
	// tcpHandshakes bounds those under way, tcpHandshake how long one may take.
	tcpHandshakes = 128
	tcpHandshake  = 5 * time.Second
	// tcpNewcomers bounds the connections of strangers, each of which may last
	// as long as a joining.
	tcpNewcomers = joinsAtOnce
)

// A fallback accepts TLS connections over TCP.
type fallback struct {
	paths    *paths
	listener net.Listener
	log      *slog.Logger

	handshakes chan struct{} // one for each under way
	newcomers  chan struct{}
	rate       *bucket
}

// listenTCP listens on the port of a UDP socket of the system. On others, and
// where the port is taken, peers are reached by UDP only.
func (p *paths) listenTCP(socket net.PacketConn) *fallback {
	if _, real := socket.(*net.UDPConn); !real {
		return nil
	}
	var config net.ListenConfig
	l, err := config.Listen(p.links.ctx, "tcp", socket.LocalAddr().String())
	if err != nil {
		p.log.Warn("TCP port not open: who is behind a firewall that blocks UDP does not reach this peer", "err", err)
		return nil
	}
	return &fallback{
		paths: p, listener: l, log: p.log, handshakes: make(chan struct{}, tcpHandshakes), newcomers: make(chan struct{}, tcpNewcomers),
		rate: &bucket{clock: p.links.wall.clock, rate: handshakesPerSecond},
	}
}

// serve accepts connections until the listener is closed.
func (f *fallback) serve() {
	config := f.paths.links.wall.server()
	for {
		c, err := f.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || f.paths.links.ctx.Err() != nil {
				return
			}
			pause := time.NewTimer(100 * time.Millisecond) // out of file descriptors, as a rule
			<-pause.C
			continue
		}
		select {
		case f.handshakes <- struct{}{}:
		default:
			_ = c.Close()
			continue
		}
		if !f.rate.take() || !f.paths.links.sources.allow(c.RemoteAddr()) {
			<-f.handshakes
			_ = c.Close()
			continue
		}
		f.paths.links.spawn(func() { f.accept(tls.Server(c, config)) })
	}
}

// accept shakes hands and carries packets until the connection ends.
func (f *fallback) accept(c *tls.Conn) {
	defer func() { _ = c.Close() }() // what was sent is sent, or not
	ctx, cancel := context.WithTimeout(f.paths.links.ctx, tcpHandshake)
	err := c.HandshakeContext(ctx)
	cancel()
	<-f.handshakes
	if err != nil {
		return // a stranger
	}
	state := c.ConnectionState()
	if state.NegotiatedProtocol != alpnJoin {
		if f.paths.links.wall.revoked(peerOfState(state)) {
			return // it is told over QUIC, where it may try
		}
		if err := f.paths.carry(f.paths.links.ctx, peerOfState(state), c, nil); err != nil {
			f.log.Debug("connection over TCP ended", "from", c.RemoteAddr().String(), "err", err)
		}
		return
	}
	from, ok := c.RemoteAddr().(*net.TCPAddr)
	select {
	case f.newcomers <- struct{}{}:
		defer func() { <-f.newcomers }()
	default:
		return
	}
	ctx, cancel = context.WithTimeout(f.paths.links.ctx, joinPatience+joinLingering)
	defer cancel()
	if ok {
		at := from.AddrPort()
		_ = pipe(ctx, f.paths.board, c, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), f.paths.links.wall.clock, nil)
	}
}

// pipe lets a board speak with an address over a connection until it ends.
// Ready is called once it can.
func pipe(ctx context.Context, b *switchboard.Board, c net.Conn, with netip.AddrPort, clock func() time.Time, ready func()) error {
	p := tcp.NewPipe(c)
	label := newLabel()
	b.Plug(label, switchboard.Port{From: net.UDPAddrFromAddrPort(with), Heard: func() {}})
	defer b.Unplug(label)
	_ = c.SetDeadline(clock().Add(tcpHandshake)) // fails only if closed
	theirs, err := p.Greet(uint64(label))
	if err != nil {
		return err
	}
	_ = c.SetDeadline(time.Time{})
	b.Route(with, switchboard.Hop{Carrier: p, Label: switchboard.Label(theirs)})
	defer b.Unroute(with)
	if ready != nil {
		ready()
	}
	return p.Run(ctx, clock, b.Take)
}

// carry makes a connection over TCP a way to the peer at its other end until it
// ends. Ready is told when it is one.
func (p *paths) carry(ctx context.Context, id PeerID, c net.Conn, ready func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &way{kind: path.TCP, end: cancel}
	t := tcp.NewPipe(c)
	p.receive(id, w)
	_ = c.SetDeadline(p.links.wall.clock().Add(tcpHandshake)) // fails only if closed
	theirs, err := t.Greet(uint64(w.label))
	if err != nil {
		p.board.Unplug(w.label)
		return err
	}
	_ = c.SetDeadline(time.Time{})
	w.hop = switchboard.Hop{Carrier: t, Label: switchboard.Label(theirs)}
	if !p.add(id, w) {
		p.board.Unplug(w.label)
		return errors.New("there are too many ways to it")
	}
	defer p.ended(id, w) //nolint:contextcheck // it mends what outlives this
	if ready != nil {
		ready()
	}
	return t.Run(ctx, p.links.wall.clock, p.board.Take)
}

// dialTCP makes a connection over TCP.
func (s *links) dialTCP(ctx context.Context, id PeerID, addresses []string) (*link, error) {
	if err := s.wayTCP(ctx, id, addresses); err != nil {
		return nil, err
	}
	return s.dialVirtual(ctx, id)
}

// wayTCP opens a way to a peer over TCP, to the first of the addresses that
// answers.
func (s *links) wayTCP(ctx context.Context, id PeerID, addresses []string) error {
	c, err := dialTLS(ctx, addresses, func() *tls.Config { return s.wall.client(id) })
	if err != nil {
		return err
	}
	ready, failed := make(chan struct{}), make(chan error, 1)
	s.wg.Go(func() {
		failed <- s.paths.carry(s.ctx, id, c, func() { close(ready) })
	})
	select {
	case <-ready:
		s.paths.reach.refute() // nobody reaches us by UDP, for all we know
		return nil
	case err := <-failed:
		return err
	case <-ctx.Done():
		_ = c.Close()
		return ctx.Err()
	}
}

// dialTLS connects to the first address that answers, and tries the next ones
// beside it if it takes its time.
func dialTLS(ctx context.Context, addresses []string, config func() *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, tcpHandshake)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result, len(addresses))
	var wg sync.WaitGroup
	for n, address := range addresses {
		wg.Go(func() {
			pause := time.NewTimer(time.Duration(n) * dialStagger)
			defer pause.Stop()
			select {
			case <-pause.C:
			case <-ctx.Done():
				results <- result{nil, ctx.Err()}
				return
			}
			d := tls.Dialer{Config: config()}
			c, err := d.DialContext(ctx, "tcp", address)
			if err != nil {
				err = fmt.Errorf("dial TCP %s: %w", address, err)
			}
			results <- result{c, err}
		})
	}
	var first net.Conn
	var errs []error
	for range addresses {
		r := <-results
		switch {
		case r.err != nil:
			errs = append(errs, r.err)
		case first == nil:
			first = r.conn
			cancel()
		default:
			_ = r.conn.Close()
		}
	}
	wg.Wait()
	if first == nil {
		return nil, errors.Join(errs...)
	}
	return first, nil
}

// overTCP returns a transport whose packets to an address go over a TCP
// connection with it, for who joins. Close ends it.
func overTCP(ctx context.Context, c JoinConfig, digest [32]byte, to netip.AddrPort) (t *quic.Transport, closing func() error, err error) {
	own, err := selfSigned(c.Identity, c.Clock())
	if err != nil {
		return nil, nil, err
	}
	conn, err := dialTLS(ctx, []string{to.String()}, func() *tls.Config { return doorConfig(own, digest, c.Known, func(*x509.Certificate) {}) })
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	board := switchboard.New(nil)
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- pipe(ctx, board, conn, to, c.Clock, func() { close(ready) }) }()
	t = &quic.Transport{Conn: board.Virtual(), ConnectionIDLength: 8}
	closing = func() error {
		err := t.Close()
		cancel()
		return errors.Join(err, ignoreClosed(<-ended))
	}
	select {
	case <-ready:
		return t, closing, nil
	case err := <-ended:
		cancel()
		_ = conn.Close()
		return nil, nil, err
	}
}

// ignoreClosed leaves out how a connection ends that we end.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// tcpKnockAfter is how long UDP may keep silent before who joins tries TCP
// beside it.
const tcpKnockAfter = 1500 * time.Millisecond

// knockAny knocks over UDP, and over TCP too if that is silent. Done ends what
// the connection runs on.
func knockAny(ctx context.Context, c JoinConfig, digest [32]byte, t *quic.Transport) (ca *x509.Certificate, conn *quic.Conn, done func(), err error) {
	type result struct {
		ca   *x509.Certificate
		conn *quic.Conn
		done func()
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result, 2)
	_, real := c.Socket.(*net.UDPConn)
	hasTCP := real || c.Socket == nil // a simulated network has none
	over := func(knock func() result) {
		go func() { results <- knock() }()
	}
	over(func() result {
		ca, conn, err := knock(ctx, c, digest, t)
		return result{ca, conn, func() {}, err}
	})
	begun := 1
	var failed []error
	next := time.NewTimer(tcpKnockAfter)
	defer next.Stop()
	for {
		select {
		case <-next.C:
			if begun == 2 || !hasTCP {
				continue
			}
			begun++
			over(func() result {
				ca, conn, done, err := knockTCP(ctx, c, digest)
				return result{ca, conn, done, err}
			})
		case r := <-results:
			if r.err == nil {
				rest := begun - len(failed) - 1
				go func() { // what comes late is not wanted
					for range rest {
						if late := <-results; late.err == nil {
							_ = late.conn.CloseWithError(codeDoor, "another way was faster")
							late.done()
						}
					}
				}()
				return r.ca, r.conn, r.done, nil
			}
			failed = append(failed, r.err)
			switch {
			case answered(r.err), begun == len(failed) && (begun == 2 || !hasTCP):
				return nil, nil, nil, errors.Join(failed...)
			case begun == len(failed):
				next.Reset(0)
			}
		}
	}
}

// answered reports whether a failure to knock is somebody's answer, so that it
// does not help to knock otherwise.
func answered(err error) bool {
	refused, ok := errors.AsType[*quic.TransportError](err)
	return ok && refused.Remote || errors.Is(err, errOtherCA) || errors.Is(err, context.Canceled)
}

// knockTCP knocks over TCP.
func knockTCP(ctx context.Context, c JoinConfig, digest [32]byte) (*x509.Certificate, *quic.Conn, func(), error) {
	to, err := resolve(ctx, c.Address)
	if err != nil {
		return nil, nil, nil, err
	}
	at := to.AddrPort()
	t, closing, err := overTCP(ctx, c, digest, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
	if err != nil {
		return nil, nil, nil, err
	}
	ca, conn, err := knock(ctx, c, digest, t)
	if err != nil {
		_ = closing() // nothing runs on it
		return nil, nil, nil, fmt.Errorf("over TCP: %w", err)
	}
	return ca, conn, func() { _ = closing() }, nil
}
