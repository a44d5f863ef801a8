package ledger

import "net/netip" //nolint:depguard // addresses are values; nothing here touches a network

// An Address is that of an instance, on every computer of the mesh.
type Address = netip.Addr

// Addresses are given out one after another, from a place of the mesh's own on
// so that two meshes on one computer seldom meet, and used again only when all
// have been: a client that still knows the URL of a destroyed instance should
// not reach a stranger's.
const (
	firstAddress = 127<<24 | 64<<16 // 127.64.0.0/10
	addresses    = 1<<22 - 2        // without the first and the last
)

// nextAddress returns an address that nobody holds.
func (s *State) nextAddress() (Address, error) {
	if s.counters.Address < addresses {
		mesh, _ := s.Mesh()
		n := firstAddress + 1 + (mesh.FirstAddress+s.counters.Address)%addresses
		return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), nil
	}
	if _, r, ok := s.returned.first(); ok {
		return r.Address, nil
	}
	return Address{}, refuse(ErrExhausted, "all %d addresses of the mesh are in use", addresses)
}

// takeAddress records that the address that nextAddress gave is held.
func (s *State) takeAddress() {
	if s.counters.Address < addresses {
		s.counters.Address++
		return
	}
	k, _, _ := s.returned.first()
	drop(s, &s.returned, k)
}

// returnAddress records that nobody holds a any more.
func (s *State) returnAddress(a Address) {
	s.counters.Returned++
	s.setReturned(returned{s.counters.Returned, a})
}
