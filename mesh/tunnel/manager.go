package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/datagram"
)

const (
	retryMin = time.Second
	retryMax = 30 * time.Second

	// dialPatience bounds how long a connection may take to reach its host.
	dialPatience = 10 * time.Second
)

// A Config says how a manager reaches others. Dial is required.
type Config struct {
	// Dial opens a stream of mesh.KindTunnel to a peer.
	Dial Dialer
	// Local reports whether a peer shares this computer's loopback, as this
	// peer itself does: its instances answer at their addresses already, and
	// a listener there would take the address away from a restarting one.
	// Default: none.
	Local func(peer mesh.PeerID) bool
	// Listen listens at an address of this computer. Default: TCP.
	Listen func(ctx context.Context, address netip.AddrPort) (net.Listener, error)
	// ListenPacket listens for datagrams. Default: UDP.
	ListenPacket func(ctx context.Context, address netip.AddrPort) (net.PacketConn, error)
	// Connections bounds how many are open at a time. Default 4096.
	Connections int
	// Log receives what is opened and closed. Default: nothing is logged.
	Log *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Dial == nil {
		return c, errors.New("tunnel: config: Dial required")
	}
	if c.Local == nil {
		c.Local = func(mesh.PeerID) bool { return false }
	}
	if c.Listen == nil {
		c.Listen = func(ctx context.Context, a netip.AddrPort) (net.Listener, error) {
			return new(net.ListenConfig).Listen(ctx, "tcp", a.String())
		}
	}
	if c.ListenPacket == nil {
		c.ListenPacket = func(ctx context.Context, a netip.AddrPort) (net.PacketConn, error) {
			return new(net.ListenConfig).ListenPacket(ctx, "udp", a.String())
		}
	}
	if c.Connections <= 0 {
		c.Connections = defaultConnections
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// A Manager keeps a listener for each wanted service.
type Manager struct {
	config  Config
	open    *count
	changed chan struct{}

	mu   sync.Mutex
	want []Service

	have map[place]*entrance // owned by Run
}

// New returns a manager that wants nothing yet.
func New(c Config) (*Manager, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Manager{
		config:  c,
		open:    newCount(c.Connections, c.Connections),
		changed: make(chan struct{}, 1),
		have:    map[place]*entrance{},
	}, nil
}

// Set says which services there are, those of this computer among them.
func (m *Manager) Set(want []Service) {
	m.mu.Lock()
	m.want = append([]Service(nil), want...)
	m.mu.Unlock()
	select {
	case m.changed <- struct{}{}:
	default: // Run will look anyway
	}
}

// Run keeps the listeners as Set wants them until ctx is done, then ends all
// and returns nil. It may be called once.
func (m *Manager) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		for _, step := range Plan(m.wanted(), m.listening()) {
			m.do(ctx, &wg, step)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-m.changed:
		}
	}
}

// wanted lists the services of other computers.
func (m *Manager) wanted() []Service {
	m.mu.Lock()
	all := m.want
	m.mu.Unlock()
	var want []Service
	for _, s := range all {
		if !m.config.Local(s.Peer) {
			want = append(want, s)
		}
	}
	return want
}

func (m *Manager) listening() []Service {
	have := make([]Service, 0, len(m.have))
	for p, e := range m.have {
		have = append(have, Service{p.AddrPort, p.udp, *e.peer.Load()})
	}
	return have
}

// do takes one step. It does not wait.
func (m *Manager) do(ctx context.Context, wg *sync.WaitGroup, step Step) {
	m.config.Log.Debug("tunnel", "step", step.String())
	s := step.Service
	switch step.Action {
	case Close:
		m.have[s.place()].stop()
		delete(m.have, s.place())
	case Move:
		m.have[s.place()].peer.Store(&s.Peer)
	case Open:
		ctx, cancel := context.WithCancel(ctx)
		e := &entrance{manager: m, place: s.place(), stop: cancel}
		e.peer.Store(&s.Peer)
		m.have[s.place()] = e
		wg.Go(func() { e.run(ctx) })
	}
}

// An entrance is the listener of one service.
type entrance struct {
	manager *Manager
	place   place
	stop    context.CancelFunc
	peer    atomic.Pointer[mesh.PeerID] // may move
}

// run listens until ctx is done, then ends the connections and returns. Where
// it cannot listen it tries again: often another peer on this computer serves
// the address, and may stop.
func (e *entrance) run(ctx context.Context) {
	defer e.stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	wait := retryMin
	complained := false
	for {
		err := e.listen(ctx, &wg, func() { wait = retryMin })
		if ctx.Err() != nil {
			return
		}
		if !complained && !errors.Is(err, syscall.EADDRINUSE) {
			complained = true
			e.manager.config.Log.Warn("address of an instance cannot be served here", "address", e.place.String(), "err", err)
		}
		timer := time.NewTimer(wait/2 + rand.N(wait/2))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait = min(2*wait, retryMax)
	}
}

// listen carries what comes to the address until it fails or ctx is done.
// Listening is called once it can.
func (e *entrance) listen(ctx context.Context, wg *sync.WaitGroup, listening func()) error {
	if e.place.udp {
		socket, err := e.manager.config.ListenPacket(ctx, e.place.AddrPort)
		if err != nil {
			return err
		}
		listening()
		return datagram.Serve(ctx, socket, e.session, datagram.Idle, func(err error) {
			e.manager.config.Log.Debug("tunnel failed", "address", e.place.String(), "err", err)
		})
	}
	l, err := e.manager.config.Listen(ctx, e.place.AddrPort)
	if err != nil {
		return err
	}
	listening()
	return e.accept(ctx, wg, l)
}

// session opens the stream of one program that speaks in datagrams. It is
// counted until it is closed.
func (e *entrance) session(ctx context.Context) (io.ReadWriteCloser, error) {
	peer := *e.peer.Load()
	if !e.manager.open.enter(peer) {
		return nil, errors.New("too many connections")
	}
	leave := sync.OnceFunc(func() { e.manager.open.leave(peer) })
	stream, err := e.dial(ctx, peer)
	if err != nil {
		leave()
		return nil, err
	}
	return closing{stream, leave}, nil
}

// closing is a connection of whose end somebody is told.
type closing struct {
	net.Conn
	closed func()
}

// Close ends the connection.
func (c closing) Close() error {
	c.closed()
	return c.Conn.Close()
}

// accept carries connections until the listener fails or ctx is done.
func (e *entrance) accept(ctx context.Context, wg *sync.WaitGroup, l net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for {
		c, err := l.Accept()
		if err != nil {
			_ = l.Close() // it is of no use any more
			return fmt.Errorf("accept: %w", err)
		}
		wg.Go(func() {
			if err := e.carry(ctx, c); err != nil {
				e.manager.config.Log.Debug("tunnel failed", "address", e.place.String(), "err", err)
			}
		})
	}
}

// carry takes one connection to the peer that hosts the instance.
func (e *entrance) carry(ctx context.Context, c net.Conn) error {
	peer := *e.peer.Load()
	if !e.manager.open.enter(peer) {
		reset(c)
		return errors.New("too many connections")
	}
	defer e.manager.open.leave(peer)
	defer context.AfterFunc(ctx, func() { reset(c) })()
	stream, err := e.dial(ctx, peer)
	if err != nil {
		reset(c)
		return err
	}
	defer context.AfterFunc(ctx, func() { reset(stream) })()
	splice(c, stream, nil)
	return nil
}

// dial opens a stream and asks for the address. The answer is awaited by the
// first Read, so that what the client says need not wait for it.
func (e *entrance) dial(ctx context.Context, peer mesh.PeerID) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	return open(ctx, e.manager.config.Dial, peer, Want{Address: e.place.AddrPort, UDP: e.place.udp})
}
