// Package consensustest has what tests of consensus, and of packages that rest
// on it, need: a [Network] in memory that delays, cuts and heals, a [Disk] in
// memory that hangs, fails and crashes, and a [Register] to apply commands to.
// All of it runs in a synctest bubble.
package consensustest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// A Network connects peers by name, in memory. What is sent between peers that
// are cut off from one another waits, as on a real network, until they are
// together again or the connection is closed.
type Network struct {
	// Latency is how long each message takes. Set it before use.
	Latency time.Duration

	mu        sync.Mutex
	listening map[string]*Transport
	group     map[string]int // peers of equal number reach one another
	changed   chan struct{}  // closed when group changes
}

// NewNetwork returns a network where all reach all.
func NewNetwork(latency time.Duration) *Network {
	return &Network{
		Latency:   latency,
		listening: map[string]*Transport{},
		group:     map[string]int{},
		changed:   make(chan struct{}),
	}
}

// Partition splits the network: peers reach those named in the same part, and
// who is in none reaches the others in none.
func (n *Network) Partition(parts ...[]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.group)
	for i, part := range parts {
		for _, peer := range part {
			n.group[peer] = i + 1
		}
	}
	close(n.changed)
	n.changed = make(chan struct{})
}

// Heal ends all partitions.
func (n *Network) Heal() { n.Partition() }

// reaches reports whether a reaches b now, and what closes when that may have
// changed.
func (n *Network) reaches(a, b string) (bool, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.group[a] == n.group[b], n.changed
}

// Transport returns a transport for a peer. It takes the place of the peer's
// last one.
func (n *Network) Transport(peer string) *Transport {
	t := &Transport{network: n, peer: peer, accept: make(chan net.Conn), closed: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listening[peer] = t
	return t
}

// A Transport is one peer's end of a [Network]. It is a consensus.Transport.
type Transport struct {
	network *Network
	peer    string
	accept  chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

// Dial connects to the transport of a peer.
func (t *Transport) Dial(ctx context.Context, peer string) (net.Conn, error) {
	for {
		ok, changed := t.network.reaches(t.peer, peer)
		if ok {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("dial %s: %w", peer, ctx.Err())
		}
	}
	t.network.mu.Lock()
	to := t.network.listening[peer]
	t.network.mu.Unlock()
	if to == nil {
		return nil, fmt.Errorf("dial %s: nobody listens", peer)
	}
	near, nearEnd := net.Pipe()
	farEnd, far := net.Pipe()
	select {
	case to.accept <- far:
	case <-to.closed:
		return nil, fmt.Errorf("dial %s: connection refused", peer)
	case <-ctx.Done():
		return nil, fmt.Errorf("dial %s: %w", peer, ctx.Err())
	}
	both := &pair{network: t.network, ends: [2]net.Conn{nearEnd, farEnd}, closed: make(chan struct{})}
	go both.carry(t.peer, peer, nearEnd, farEnd)
	go both.carry(peer, t.peer, farEnd, nearEnd)
	return near, nil
}

// Accept returns the next connection dialled to this peer.
func (t *Transport) Accept() (net.Conn, error) {
	select {
	case c := <-t.accept:
		return c, nil
	case <-t.closed:
		return nil, net.ErrClosed
	}
}

// Close makes Accept return. Connections stay open.
func (t *Transport) Close() error {
	t.once.Do(func() { close(t.closed) })
	return nil
}

// A pair is the middle of a connection.
type pair struct {
	network *Network
	ends    [2]net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (p *pair) close() {
	p.once.Do(func() {
		close(p.closed)
		for _, c := range p.ends {
			_ = c.Close()
		}
	})
}

// A chunk is a piece on its way.
type chunk struct {
	data []byte
	due  *time.Timer
}

// inFlight bounds the chunks on their way in one direction.
const inFlight = 64

// carry moves what one end writes to the other, late.
func (p *pair) carry(from, to string, in, out net.Conn) {
	defer p.close()
	way := make(chan chunk, inFlight)
	go p.deliver(from, to, way, out)
	defer close(way)
	buffer := make([]byte, 64<<10)
	for {
		n, err := in.Read(buffer)
		if err != nil {
			return
		}
		select {
		case way <- chunk{append([]byte(nil), buffer[:n]...), time.NewTimer(p.network.Latency)}:
		case <-p.closed:
			return
		}
	}
}

func (p *pair) deliver(from, to string, way <-chan chunk, out net.Conn) {
	defer p.close()
	for c := range way {
		select {
		case <-c.due.C:
		case <-p.closed:
			return
		}
		for {
			ok, changed := p.network.reaches(from, to)
			if ok {
				break
			}
			select {
			case <-changed:
			case <-p.closed:
				return
			}
		}
		if _, err := out.Write(c.data); err != nil {
			return
		}
	}
}
