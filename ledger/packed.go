package ledger

import (
	"encoding/binary"
	"iter"
	"net/netip" //nolint:depguard // addresses are values; nothing here touches a network

	"github.com/slapmesh/slapmesh/ledger/table"
)

// The indexes that grow with the instances have numbers for keys, which take a
// quarter of the memory of names: an ordinal, which a name gets when it is
// indexed first, and what is below it. Ordinals are this state's own; another
// replica may have others.

const (
	partitionBits = 14 // more than MaxPartitions
	instanceBits  = 40 // more instances than there will ever be
)

// ordinal returns the number of a name. It gives one to a name that has none.
func (s *State) ordinal(name string) uint64 {
	if n, ok := s.ordinalOf[name]; ok {
		return n
	}
	found, ok := s.ordinals.Get(Key{A: name})
	n := uint64(found)
	if !ok {
		n = uint64(s.ordinals.Len()) + 1
		s.ordinals.Set(Key{A: name}, InstanceID(n))
	}
	if s.loading != nil { // a million rows of a few names
		if s.ordinalOf == nil {
			s.ordinalOf = make(map[string]uint64)
		}
		s.ordinalOf[name] = n
	}
	return n
}

// placeOf is the key of a partition in the index of those that are held.
func (s *State) placeOf(computer ComputerID, partition int) uint64 {
	return s.ordinal(string(computer))<<partitionBits | uint64(partition)
}

// earningOf is the key of a bill in the index of those from which an account
// earns.
func (s *State) earningOf(account AccountName, id InstanceID) uint64 {
	return s.ordinal(string(account))<<instanceBits | uint64(id)
}

// below iterates over what an index has of a name, in order.
func (s *State) below(index *table.Table[uint64, InstanceID], name string, bits int) iter.Seq[InstanceID] {
	return func(yield func(InstanceID) bool) {
		n, ok := s.ordinals.Get(Key{A: name})
		if !ok {
			return
		}
		first := uint64(n) << bits
		for k, id := range index.From(first) {
			if k>>bits != uint64(n) || !yield(id) {
				return
			}
		}
	}
}

func same(n uint64) uint64 { return n }

func newNumbers() table.Table[uint64, InstanceID] {
	return table.NewDense[uint64, InstanceID](same, same)
}

// newAddresses returns the index of addresses. All that are not of the kind
// that instances have are one.
func newAddresses() table.Table[Address, InstanceID] {
	return table.NewDense[Address, InstanceID](func(a Address) uint64 {
		if !a.Is4() {
			return 0
		}
		b := a.As4()
		return uint64(binary.BigEndian.Uint32(b[:]))
	}, func(n uint64) Address {
		return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	})
}
