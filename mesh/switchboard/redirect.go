package switchboard

import (
	"maps"
	"net"
	"net/netip"
)

// Redirect sends what ordinary connections have for an address to another one
// from now on: the peer that was there has moved. Connections that this
// end dialled take what comes from wherever it comes, so nothing else has to
// change. To send to the address itself again, name it twice.
func (b *Board) Redirect(from, to netip.AddrPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	moved := map[netip.AddrPort]*net.UDPAddr{}
	if old := b.moved.Load(); old != nil {
		maps.Copy(moved, *old)
	}
	if moved[from] = net.UDPAddrFromAddrPort(to); from == to {
		delete(moved, from)
	}
	if b.moved.Store(&moved); len(moved) == 0 {
		b.moved.Store(nil) // as nearly always
	}
}

// present returns where a peer that was dialled at an address is now.
func (b *Board) present(to *net.UDPAddr) *net.UDPAddr {
	moved := b.moved.Load()
	if moved == nil {
		return to
	}
	at := to.AddrPort()
	if now, ok := (*moved)[netip.AddrPortFrom(at.Addr().Unmap(), at.Port())]; ok {
		return now
	}
	return to
}

// WriteTo is that of the socket.
func (s *plain) WriteTo(p []byte, to net.Addr) (int, error) {
	if u, ok := to.(*net.UDPAddr); ok {
		to = s.board.present(u)
	}
	return s.PacketConn.WriteTo(p, to)
}
