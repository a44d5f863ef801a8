package tunnel

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/slapmesh/slapmesh/mesh"
)

// Network holds the addresses of all instances. Nothing else is tunnelled.
var Network = netip.MustParsePrefix("127.64.0.0/10")

// A Service is an address that an instance answers at, and the peer that
// hosts the instance.
type Service struct {
	Address netip.AddrPort
	UDP     bool // it is asked in datagrams
	Peer    mesh.PeerID
}

// place is what one listener is for.
type place struct {
	netip.AddrPort
	udp bool
}

func (s Service) place() place { return place{s.Address, s.UDP} }

// String is the place as people write it.
func (p place) String() string {
	if p.udp {
		return p.AddrPort.String() + "/udp"
	}
	return p.AddrPort.String()
}

// Compare orders services by where they are.
func (s Service) Compare(other Service) int {
	return cmp.Or(s.Address.Compare(other.Address), cmp.Compare(s.place().String(), other.place().String()))
}

// An Action is what a Step does.
type Action string

// The actions of a plan.
const (
	Open  Action = "open"  // listen at the address
	Move  Action = "move"  // keep listening; connections go to another peer now
	Close Action = "close" // stop listening and end the connections
)

// A Step is one change of what a manager listens on.
type Step struct {
	Action  Action
	Service Service
}

// String is the step as a line of a log.
func (s Step) String() string {
	if s.Action == Close {
		return fmt.Sprintf("close %s", s.Service.place())
	}
	return fmt.Sprintf("%s %s to %s", s.Action, s.Service.place(), s.Service.Peer.Short())
}

// Plan lists the steps from the services that a manager has listeners for to
// those that it should have, closing before opening. Services outside of
// Network are left out; of two at one address the first counts.
func Plan(want, have []Service) []Step {
	wanted := index(want)
	had := index(have)
	var steps []Step
	for a, s := range had {
		if _, ok := wanted[a]; !ok {
			steps = append(steps, Step{Close, s})
		}
	}
	for a, s := range wanted {
		switch old, ok := had[a]; {
		case !ok:
			steps = append(steps, Step{Open, s})
		case old.Peer != s.Peer:
			steps = append(steps, Step{Move, s})
		}
	}
	slices.SortFunc(steps, func(x, y Step) int {
		return cmp.Or(cmp.Compare(x.Action, y.Action), x.Service.Compare(y.Service))
	})
	return steps
}

func index(services []Service) map[place]Service {
	m := make(map[place]Service, len(services))
	for _, s := range services {
		s.Address = netip.AddrPortFrom(s.Address.Addr().Unmap(), s.Address.Port())
		if _, ok := m[s.place()]; !ok && tunnelled(s.Address) {
			m[s.place()] = s
		}
	}
	return m
}

func tunnelled(a netip.AddrPort) bool { return Network.Contains(a.Addr()) && a.Port() != 0 }
