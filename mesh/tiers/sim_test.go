package tiers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/slapmesh/slapmesh/mesh/tiers"
)

// A sim is a mesh in virtual time: the code of this package and memberlist,
// over a network of pipes with a round trip of 20 ms. It counts payload.
type sim struct {
	t      *testing.T
	ctx    context.Context //nolint:containedctx // the life of all peers
	luck   sync.Mutex      // holds random
	random *rand.Rand
	peers  []*simPeer
	byName map[string]*simPeer
	gather time.Duration // 0: as usual
	wg     sync.WaitGroup
}

// descriptorSize is that of a peer with one address and a voucher.
const descriptorSize = 350

type simPeer struct {
	*sim
	name   string
	index  int
	tiers  *tiers.Tiers
	down   atomic.Bool
	sent   atomic.Uint64
	stop   context.CancelFunc
	life   context.Context //nolint:containedctx // of this peer
	mu     sync.Mutex
	known  []bool // by index
	alive  []bool
	count  int
	heard  map[string]uint64
	list   *memberlist.Memberlist
	frames chan *memberlist.Packet
	conns  chan net.Conn
}

func (s *sim) start(least int) *simPeer {
	p := &simPeer{sim: s, index: len(s.peers), heard: map[string]uint64{}}
	p.name = fmt.Sprintf("%032d", p.index)
	p.life, p.stop = context.WithCancel(s.ctx)
	p.known, p.alive = make([]bool, cap(s.peers)), make([]bool, cap(s.peers))
	p.known[p.index], p.alive[p.index], p.count = true, true, 1
	p.tiers = tiers.New(tiers.Config{
		Self: p.name, Network: p, Pool: p, Book: p, Clock: time.Now, Hidden: func() bool { return false },
		Spawn: func(f func()) { s.wg.Go(f) }, Least: least, Gather: s.gather,
	})
	s.peers = append(s.peers, p)
	s.byName[p.name] = p
	p.Join(nil)
	s.wg.Go(func() { p.tiers.Run(p.life) })
	return p
}

// enter joins through up to five others, again and again until it is not alone,
// as a peer does.
func (p *simPeer) enter(n int) {
	for p.tryToEnter(n); p.sees() == 1 && p.life.Err() == nil; p.tryToEnter(n) {
		time.Sleep(10 * time.Second)
	}
}

func (p *simPeer) tryToEnter(n int) {
	var seeds []string
	for range min(5, n) {
		p.luck.Lock()
		id := p.peers[p.random.IntN(n)].name
		p.luck.Unlock()
		if other := p.byName[id]; id != p.name && !other.down.Load() && !slices.Contains(seeds, id) {
			seeds = append(seeds, id)
			p.mu.Lock()
			p.known[other.index] = true
			p.mu.Unlock()
		}
	}
	p.tiers.Enter(seeds)
}

// kill takes a peer from the network.
func (p *simPeer) kill() {
	p.down.Store(true)
	p.stop()
}

// The network.

type simConn struct {
	net.Conn
	from *simPeer
}

func (c simConn) Write(b []byte) (int, error) {
	c.from.sent.Add(uint64(len(b)))
	return c.Conn.Write(b)
}

func (p *simPeer) dial(name string) (*simPeer, net.Conn, net.Conn, error) {
	other := p.byName[name]
	if other == nil || other.down.Load() || p.down.Load() {
		time.Sleep(3 * time.Second)
		return nil, nil, nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("no answer")}
	}
	time.Sleep(20 * time.Millisecond)
	here, there := net.Pipe()
	p.hear(other)
	return other, simConn{here, p}, simConn{there, other}, nil
}

// hear notes that packets go to and fro.
func (p *simPeer) hear(other *simPeer) {
	for _, pair := range [][2]*simPeer{{p, other}, {other, p}} {
		pair[0].mu.Lock()
		pair[0].heard[pair[1].name]++
		pair[0].mu.Unlock()
	}
}

func (p *simPeer) Open(name string, _ time.Duration) (net.Conn, error) {
	other, here, there, err := p.dial(name)
	if err != nil {
		return nil, err
	}
	p.wg.Go(func() { other.tiers.Serve(there, p.name) })
	return here, nil
}

func (p *simPeer) Heard(name string) (uint64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, ok := p.heard[name]
	return n, ok
}

func (p *simPeer) Ping(name string) {
	p.sent.Add(48)
	if other := p.byName[name]; !other.down.Load() && !p.down.Load() {
		p.wg.Go(func() { p.hear(other) })
	}
}

// The book.

func (p *simPeer) Put(d []byte) (string, error) {
	other := p.byName[string(d[:32])]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[other.index] = true
	return other.name, nil
}

func (p *simPeer) Descriptor(name string) ([]byte, uint64, bool, bool) {
	other := p.byName[name]
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]byte(name), make([]byte, descriptorSize-32)...), 1, false, p.known[other.index]
}

func (p *simPeer) Mark(name string, alive bool) {
	other := p.byName[name]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alive[other.index] != alive {
		p.alive[other.index] = alive
		p.count += map[bool]int{true: 1, false: -1}[alive]
	}
}

func (p *simPeer) sees() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// The pool.

func (p *simPeer) Join(names []string) {
	p.mu.Lock()
	if p.list == nil && p.life.Err() == nil {
		p.frames, p.conns = make(chan *memberlist.Packet, 256), make(chan net.Conn)
		c := memberlist.DefaultLANConfig()
		c.Name, c.Transport, c.RequireNodeNames, c.EnableCompression = p.name, &simTransport{p, p.frames, p.conns}, true, false
		c.UDPBufferSize, c.GossipInterval, c.GossipNodes, c.SuspicionMult = 1100, 100*time.Millisecond, 4, 2
		c.Delegate, c.Events, c.Logger = simDelegate{p}, simDelegate{p}, log.New(io.Discard, "", 0)
		p.mu.Unlock()
		list, err := memberlist.Create(c)
		if err != nil {
			p.t.Error(err)
			return
		}
		p.mu.Lock()
		p.list = list
	}
	list := p.list
	p.mu.Unlock()
	for _, name := range names {
		_, _ = list.Join([]string{name + "/[fd00::1]:1"})
	}
}

func (p *simPeer) Leave() {
	p.mu.Lock()
	list := p.list
	p.list = nil
	p.mu.Unlock()
	if list != nil {
		_ = list.Leave(3 * time.Second)
		_ = list.Shutdown()
	}
}

type simDelegate struct{ p *simPeer }

func (d simDelegate) NodeMeta(int) []byte            { return make([]byte, descriptorSize) }
func (simDelegate) NotifyMsg([]byte)                 {}
func (simDelegate) GetBroadcasts(int, int) [][]byte  { return nil }
func (simDelegate) LocalState(bool) []byte           { return nil }
func (simDelegate) MergeRemoteState([]byte, bool)    {}
func (d simDelegate) NotifyUpdate(*memberlist.Node)  {}
func (d simDelegate) NotifyLeave(n *memberlist.Node) { d.p.tiers.Gone(n.Name) }
func (d simDelegate) NotifyJoin(n *memberlist.Node) {
	_, _ = d.p.Put([]byte(n.Name))
	d.p.tiers.Joined(n.Name)
}

type simTransport struct {
	p      *simPeer
	frames chan *memberlist.Packet
	conns  chan net.Conn
}

func (t *simTransport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return net.ParseIP("fd00::1"), 1, nil
}
func (t *simTransport) PacketCh() <-chan *memberlist.Packet { return t.frames }
func (t *simTransport) StreamCh() <-chan net.Conn           { return t.conns }
func (t *simTransport) Shutdown() error                     { return nil }
func (t *simTransport) WriteTo([]byte, string) (time.Time, error) {
	return time.Time{}, errors.New("nameless")
}

func (t *simTransport) DialTimeout(string, time.Duration) (net.Conn, error) {
	return nil, errors.New("nameless")
}

func (t *simTransport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	t.p.sent.Add(uint64(len(b)))
	if other := t.p.byName[a.Name]; !other.down.Load() && !t.p.down.Load() {
		other.mu.Lock()
		frames := other.frames
		other.mu.Unlock()
		select {
		case frames <- &memberlist.Packet{Buf: slices.Clone(b), From: &net.UDPAddr{IP: net.ParseIP("fd00::1"), Port: 1}, Timestamp: time.Now()}:
		default:
		}
	}
	return time.Now(), nil
}

func (t *simTransport) DialAddressTimeout(a memberlist.Address, _ time.Duration) (net.Conn, error) {
	other, here, there, err := t.p.dial(a.Name)
	if err != nil {
		return nil, err
	}
	other.mu.Lock()
	conns := other.conns
	other.mu.Unlock()
	t.p.wg.Go(func() {
		select {
		case conns <- there:
		case <-time.After(5 * time.Second):
			_ = there.Close()
		}
	})
	return here, nil
}

// views counts how many see how many, and in which tier they are.
func (s *sim) views() string {
	views := map[string]int{}
	for _, p := range s.peers {
		if !p.down.Load() {
			holders, attached := p.tiers.Attached()
			views[fmt.Sprintf("see %d, attached %v to %d", p.sees(), attached, holders)]++
		}
	}
	var lines []string
	for _, v := range slices.Sorted(maps.Keys(views)) {
		lines = append(lines, fmt.Sprintf("%d %s", views[v], v))
	}
	return strings.Join(lines[:min(len(lines), 20)], "; ")
}

// until waits until all peers that are up see so many, and says how long that
// took.
func (s *sim) until(n int, limit time.Duration) time.Duration {
	begun := time.Now()
	for {
		behind := 0
		for _, p := range s.peers {
			if !p.down.Load() && p.sees() != n {
				behind++
			}
		}
		switch took := time.Since(begun); {
		case behind == 0:
			return took
		case took > limit:
			s.t.Fatalf("%d peers do not see %d after %v: %s", behind, n, took, s.views())
		}
		time.Sleep(100 * time.Millisecond)
	}
}
