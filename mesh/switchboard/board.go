package switchboard

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// A Carrier takes envelopes to a neighbour. Its methods are called for each
// packet, by several goroutines.
type Carrier interface {
	// Address is where the neighbour is on the socket, or nil if it is not
	// reached over it.
	Address() *net.UDPAddr
	// Send passes an envelope on if Address is nil. It keeps nothing of b,
	// does not block, and may drop it.
	Send(b []byte)
}

// At is a Carrier to a fixed address on the socket.
type At net.UDPAddr

// Address is the address.
func (a *At) Address() *net.UDPAddr { return (*net.UDPAddr)(a) }

// Send is never called.
func (*At) Send([]byte) {}

// A Hop is where an envelope goes next, and under which label.
type Hop struct {
	Carrier Carrier
	Label   Label
}

// A Port is what a label stands for here. Exactly one of its fields is set.
type Port struct {
	// From is the address of the peer, as its virtual connections know it,
	// whose packets come under the label; Heard is told of each.
	From  *net.UDPAddr
	Heard func()
	// Next says where an envelope of n bytes goes on to; ok is false if it is
	// dropped. It must not block.
	Next func(n int) (hop Hop, ok bool)
}

// A Board sorts what arrives on one socket. Its methods may be called by
// several goroutines; OnSignal is set before the first packet is read.
type Board struct {
	// OnSignal is told of signals under a known label. From is nil if it did
	// not come over the socket. It keeps nothing of content, and must not
	// block.
	OnSignal func(label Label, content []byte, from *net.UDPAddr)

	socket  net.PacketConn
	virtual *virtual
	moved   atomic.Pointer[map[netip.AddrPort]*net.UDPAddr] // see Redirect; nil if there are none

	mu     sync.RWMutex
	ports  map[Label]Port
	routes map[netip.AddrPort]Hop
}

// New makes a Board for the socket, which stays the caller's to close. Without
// one all envelopes come from Take and go to Carriers.
func New(socket net.PacketConn) *Board {
	b := &Board{
		OnSignal: func(Label, []byte, *net.UDPAddr) {},
		socket:   socket,
		ports:    map[Label]Port{},
		routes:   map[netip.AddrPort]Hop{},
	}
	b.virtual = newVirtual(b)
	return b
}

// Socket is for ordinary QUIC connections.
func (b *Board) Socket() net.PacketConn {
	if u, ok := b.socket.(*net.UDPConn); ok {
		return newBatched(u, b)
	}
	return &plain{b.socket, b}
}

// Virtual is for connections to peers at the addresses of Route.
func (b *Board) Virtual() net.PacketConn {
	if u, ok := b.socket.(*net.UDPConn); ok && canSegment {
		return virtualUDP{b.virtual, u}
	}
	return b.virtual
}

// LocalAddr is the address of the socket.
func (b *Board) LocalAddr() net.Addr {
	if b.socket == nil {
		return &net.UDPAddr{}
	}
	return b.socket.LocalAddr()
}

// Plug gives a label a meaning.
func (b *Board) Plug(label Label, p Port) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ports[label] = p
}

// Unplug takes it away.
func (b *Board) Unplug(label Label) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.ports, label)
}

// Route sends what virtual connections have for an address that way from now
// on.
func (b *Board) Route(to netip.AddrPort, hop Hop) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.routes[to] = hop
}

// Unroute drops what virtual connections have for an address.
func (b *Board) Unroute(to netip.AddrPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.routes, to)
}

// Send sends an envelope. What cannot be sent is dropped, as packets may be.
func (b *Board) Send(c Carrier, envelope []byte) {
	if a := c.Address(); a != nil && b.socket != nil {
		_, _ = b.socket.WriteTo(envelope, a) // QUIC sends again what it misses
		return
	}
	c.Send(envelope)
}

// Take takes an envelope that did not come over the socket. It may change e,
// and keeps nothing of it.
func (b *Board) Take(e []byte) {
	if hop, ok := b.take(e, nil); ok {
		b.Send(hop.Carrier, e)
	}
}

// take does what an envelope is for. If ok, it is to be sent on to hop, and
// bears its label already.
func (b *Board) take(e []byte, from *net.UDPAddr) (hop Hop, ok bool) {
	kind, label, content, ok := open(e)
	if !ok {
		return hop, false
	}
	b.mu.RLock()
	port, known := b.ports[label]
	b.mu.RUnlock()
	switch {
	case !known:
		return hop, false
	case kind == Signal:
		b.OnSignal(label, content, from)
		return hop, false
	case port.Next == nil:
		port.Heard()
		b.virtual.deliver(content, port.From)
		return hop, false
	}
	if hop, ok = port.Next(len(e)); ok {
		relabel(e, hop.Label)
	}
	return hop, ok
}

// lookup says where packets for an address of a virtual connection go.
func (b *Board) lookup(to *net.UDPAddr) (Hop, bool) {
	a := to.AddrPort()
	b.mu.RLock()
	defer b.mu.RUnlock()
	hop, ok := b.routes[netip.AddrPortFrom(a.Addr().Unmap(), a.Port())]
	return hop, ok
}
