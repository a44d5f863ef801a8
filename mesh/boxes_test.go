package mesh_test

import (
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/quic-go/quic-go/testutils/simnet"
)

// What a translator lets in (RFC 4787), besides how it maps.
const (
	fullCone          = "full cone"          // whatever comes to a mapped port
	addressRestricted = "address restricted" // from addresses that were sent to
	portRestricted    = "port restricted"    // from addresses and ports that were sent to
	symmetric         = "symmetric"          // so, and each destination has a mapping of its own
)

// A box is a translator of a simulated network.
type box struct {
	kind  string
	ip    netip.Addr
	outer *box // nil: the Internet

	next    uint16
	out     map[string]uint16         // by inner address, and destination if it matters
	inner   map[uint16]netip.AddrPort // who has an outer port
	allowed map[string]bool           // outer port and who may send to it
}

// boxes are all translators, and who is behind which.
type boxes struct {
	mu     sync.Mutex
	all    map[netip.Addr]*box
	behind map[netip.Addr]*box
}

// newBox puts a translator into the network, behind another one or none.
func (bs *boxes) newBox(kind, ip string, outer *box) *box {
	b := &box{
		kind: kind, ip: netip.MustParseAddr(ip), outer: outer, next: 20000,
		out: map[string]uint16{}, inner: map[uint16]netip.AddrPort{}, allowed: map[string]bool{},
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	bs.all[b.ip] = b
	return b
}

// realm is the network in which an address means something. mu is held.
func (bs *boxes) realm(ip netip.Addr) *box {
	if b, ok := bs.all[ip]; ok {
		return b.outer
	}
	return bs.behind[ip]
}

// translate changes the addresses of a packet as the boxes on its way do. It
// reports whether the packet arrives.
func (bs *boxes) translate(p *simnet.Packet) bool {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	from, to := addrPort(p.From), addrPort(p.To)
	for realm := bs.realm(from.Addr()); realm != bs.realm(to.Addr()); realm = realm.outer {
		if realm == nil {
			return false // a private address, from outside
		}
		from = realm.outbound(from, to)
	}
	for b := bs.all[to.Addr()]; b != nil; b = bs.all[to.Addr()] {
		inner, ok := b.inbound(from, to.Port())
		if !ok {
			return false
		}
		to = inner
	}
	p.From, p.To = net.UDPAddrFromAddrPort(from), net.UDPAddrFromAddrPort(to)
	return true
}

func (b *box) outbound(from, to netip.AddrPort) netip.AddrPort {
	key := from.String()
	if b.kind == symmetric {
		key += " " + to.String()
	}
	port, ok := b.out[key]
	if !ok {
		b.next++
		port = b.next
		b.out[key], b.inner[port] = port, from
	}
	b.allowed[fmt.Sprint(port, to)], b.allowed[fmt.Sprint(port, to.Addr())] = true, true
	return netip.AddrPortFrom(b.ip, port)
}

func (b *box) inbound(from netip.AddrPort, port uint16) (netip.AddrPort, bool) {
	inner, ok := b.inner[port]
	switch b.kind {
	case addressRestricted:
		ok = ok && b.allowed[fmt.Sprint(port, from.Addr())]
	case portRestricted, symmetric:
		ok = ok && b.allowed[fmt.Sprint(port, from)]
	}
	return inner, ok
}

func addrPort(a net.Addr) netip.AddrPort {
	at := a.(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// behind opens a member whose socket is behind a translator.
func (w *world) behind(b *box) *peer {
	w.tb.Helper()
	w.next++
	at := &net.UDPAddr{IP: net.IPv4(192, 168, w.next, 2).To4(), Port: 7527}
	w.cut.mu.Lock()
	w.cut.boxes.behind[addrPort(at).Addr()] = b
	w.cut.mu.Unlock()
	return w.open(w.configWith(w.socketAt(at)))
}

// public opens a member at an address of the Internet.
func (w *world) public() *peer {
	w.tb.Helper()
	w.next++
	return w.open(w.configWith(w.socketAt(&net.UDPAddr{IP: net.IPv4(203, 0, 113, w.next).To4(), Port: 7527})))
}

// rename gives a translator another address, and has it forget all it knows, as
// when what is behind it moves.
func (r *cutRouter) rename(b *box) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.boxes.all, b.ip)
	b.ip = b.ip.Next().Next().Next()
	r.boxes.all[b.ip] = b
	clear(b.out)
	clear(b.inner)
	clear(b.allowed)
}
