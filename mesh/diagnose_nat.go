package mesh

import (
	"context"
	"net"
	"net/netip"

	"github.com/slapmesh/slapmesh/mesh/nat"
)

// kind finds out what stands in between. Where that is a translator others say
// too where they see this computer: it takes two to tell how it maps.
func (e *examination) kind(ctx context.Context, others []string) nat.Kind {
	at, err := netip.ParseAddrPort(e.found.Observed)
	if err != nil || e.found.Local == "" {
		return nat.KindUnknown
	}
	entry := nat.EntryUnknown
	switch {
	case e.found.Reached:
		entry = nat.EntryOpen
	case e.found.Knocked:
		entry = nat.EntryClosed
	}
	if !e.found.Translated() {
		return nat.Verdict{Mapping: nat.None}.Kind(entry)
	}
	door, err := netip.ParseAddrPort(e.found.Address)
	if err != nil {
		return nat.KindNAT
	}
	ctx, cancel := context.WithTimeout(ctx, otherTries)
	defer cancel()
	seen := []nat.Observation{{By: door.Addr().Unmap(), Seen: at}}
	others = others[:min(len(others), maxOthers)]
	said := make(chan nat.Observation, len(others))
	for _, other := range others {
		go func() {
			o, _ := e.observe(ctx, other) // who does not answer says nothing
			said <- o
		}()
	}
	for range others {
		if o := <-said; o.Seen.IsValid() && o.By != seen[0].By && o.Seen.Addr().Is4() == at.Addr().Is4() {
			seen = append(seen, o)
			break
		}
	}
	return nat.Classify(nil, seen).Kind(entry)
}

// observe asks another peer of the mesh where it sees this computer.
func (e *examination) observe(ctx context.Context, address string) (o nat.Observation, err error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return o, err
	}
	own, err := selfSigned(e.config.Identity, e.config.Clock())
	if err != nil {
		return o, err
	}
	_, conn, err := knockAt(ctx, e.config, e.digest, e.transport, own, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return o, err
	}
	defer func() { _ = conn.CloseWithError(codeDoor, "done") }()
	defer context.AfterFunc(ctx, func() { _ = conn.CloseWithError(codeDoor, "given up") })()
	reply, err := ask(ctx, e.config, conn)
	if err != nil {
		return o, err
	}
	seen, err := netip.ParseAddrPort(reply.Observed)
	return nat.Observation{By: to.Addr().Unmap(), Seen: seen}, err
}
