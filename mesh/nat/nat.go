// Package nat tells what stands between this computer and others, from what
// they say: the addresses that they see it at. It is pure: values in,
// verdicts out. The words are those of RFC 4787 and RFC 5780.
package nat

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// A Mapping is how a translator maps this socket to outside addresses.
type Mapping string

// The mappings.
const (
	Unknown     Mapping = "unknown"     // too little was observed
	None        Mapping = "none"        // others see the address that the computer has
	Independent Mapping = "independent" // one outside address for all destinations
	Dependent   Mapping = "dependent"   // another one for each ("symmetric")
)

// An Observation is what one other says.
type Observation struct {
	By   netip.Addr     // where the other is
	Seen netip.AddrPort // where it sees this computer
	At   time.Time
}

// A Verdict is what follows.
type Verdict struct {
	Mapping  Mapping
	External []netip.AddrPort // seen outside, most often first; none of the computer's own
}

// Classify judges the latest observation of each observer. Those that are of
// the same translated network as the computer see its own address: they say
// nothing.
func Classify(own []netip.Addr, observations []Observation) Verdict {
	count := map[netip.AddrPort]int{}
	by := map[netip.AddrPort]map[netip.Addr]bool{}
	plain := false
	for _, o := range observations {
		seen := netip.AddrPortFrom(o.Seen.Addr().Unmap(), o.Seen.Port())
		if slices.Contains(own, seen.Addr()) {
			plain = plain || Public(o.By)
			continue
		}
		count[seen]++
		if by[seen] == nil {
			by[seen] = map[netip.Addr]bool{}
		}
		by[seen][o.By] = true
	}
	external := slices.SortedFunc(maps.Keys(count), func(a, b netip.AddrPort) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), a.Compare(b))
	})
	v := Verdict{Mapping: Unknown, External: external}
	switch {
	case len(external) == 0 && plain:
		v.Mapping = None
	case len(external) == 0:
	case len(by[external[0]]) > 1:
		v.Mapping = Independent
	case len(external) > 1 && sameFamily(external):
		v.Mapping = Dependent
	}
	return v
}

// sameFamily reports whether the two most often seen addresses are of one
// family of IP: one of each is no sign of a mapping that depends on who looks.
func sameFamily(all []netip.AddrPort) bool { return all[0].Addr().Is4() == all[1].Addr().Is4() }

// sharedSpace is what carriers use inside (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// Public reports whether an address is one of the whole Internet.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && !sharedSpace.Contains(a)
}

// Proves reports whether a connection that came in from an address, to which
// nothing had been sent before, proves that anybody can reach this computer:
// one behind a translator is reached by its neighbours anyhow.
func Proves(v Verdict, from netip.Addr) bool {
	if v.Mapping == None || len(v.External) == 0 {
		return true
	}
	from = from.Unmap()
	for _, e := range v.External {
		if e.Addr() == from {
			return false // a neighbour, by way of our own translator
		}
	}
	return Public(from)
}
