// Package path decides how to reach a peer: which ways to try and when
// ([Plan]), which of those found to use ([Best]), and which relays to hold on
// to ([Anchors]). All of it is pure: values in, decisions out.
//
// Elsewhere: mesh opens, probes and closes the ways; mesh/nat says what stands
// in between.
package path

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"
)

// A Kind is how a way leads to a peer. Of two the higher one is better.
type Kind int

// The kinds of ways. A direct one needs no help; it is not chosen among the
// others, for ordinary connections take it.
const (
	Relayed Kind = iota + 1 // another peer carries
	TCP                     // a TCP connection to the peer
	Punched                 // UDP, through a hole that both made
	Direct                  // UDP to an address that the peer tells
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case Relayed:
		return "relayed"
	case TCP:
		return "tcp"
	case Punched:
		return "punched"
	case Direct:
		return "direct"
	}
	return "unknown"
}

// A Target is what is known of a peer that is to be reached.
type Target struct {
	Addresses int  // how many it has
	Relays    int  // how many peers may relay
	Hidden    bool // it says itself that others reach it through relays
	TCP       bool // its addresses may be tried by TCP
	UDP       bool // UDP was heard of anybody lately
}

// An Attempt is one kind of way to try, after a while.
type Attempt struct {
	Kind  Kind
	After time.Duration
}

const (
	// relayAfter is how long direct attempts may keep silent before relays
	// are asked, unless the peer says that it is hidden.
	relayAfter = 400 * time.Millisecond
	// tcpAfter is the same for TCP.
	tcpAfter = time.Second
)

// Plan says what to try to reach a peer, the soonest first. All of it fails
// before the peer is given up, and the first that works is used.
func Plan(t Target) []Attempt {
	var plan []Attempt
	if t.Addresses > 0 {
		plan = append(plan, Attempt{Direct, 0})
	}
	if t.Relays > 0 {
		after := relayAfter
		if t.Hidden || t.Addresses == 0 {
			after = 0
		}
		plan = append(plan, Attempt{Relayed, after})
	}
	if t.TCP && t.Addresses > 0 {
		after := tcpAfter
		if !t.UDP {
			after = relayAfter
		}
		plan = append(plan, Attempt{TCP, after})
	}
	slices.SortStableFunc(plan, func(a, b Attempt) int { return cmp.Compare(a.After, b.After) })
	return plan
}

// A Way is one that is open.
type Way struct {
	Kind   Kind
	Silent time.Duration // since a packet of the peer came that way
}

// patience is how long a way may be silent before another one, that is not,
// is taken instead.
const patience = 2 * time.Second

// Best chooses a way, or -1 if there is none: the highest kind, and of those
// the present one unless it is silent while another one is not.
func Best(ways []Way, present int) int {
	best := -1
	for i, w := range ways {
		switch {
		case best < 0, w.Kind > ways[best].Kind:
			best = i
		case w.Kind < ways[best].Kind:
		case i == present:
			if w.Silent < patience || w.Silent <= ways[best].Silent {
				best = i
			}
		case best == present:
			if ways[best].Silent >= patience && w.Silent < patience {
				best = i
			}
		case w.Silent < ways[best].Silent:
			best = i
		}
	}
	return best
}

// Anchors chooses up to want relays for a peer to hold on to: those that it
// holds already, then, of the candidates, others for each peer, so that the
// load is spread and comes back the same after a restart.
func Anchors(self string, held, candidates []string, want int) []string {
	chosen := slices.Clone(held[:min(len(held), want)])
	rest := slices.DeleteFunc(slices.Clone(candidates), func(c string) bool { return slices.Contains(chosen, c) })
	slices.SortFunc(rest, func(a, b string) int {
		return cmp.Or(cmp.Compare(weight(self, a), weight(self, b)), cmp.Compare(a, b))
	})
	return append(chosen, rest[:min(len(rest), want-len(chosen))]...)
}

// weight orders relays differently for each peer.
func weight(self, relay string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(self + "\x00" + relay)) // never fails
	return h.Sum64()
}
