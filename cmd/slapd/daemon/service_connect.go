package daemon

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/tunnel"
	"github.com/slapmesh/slapmesh/protocol"
)

// Connect implements [protocol.Sessions]. The bytes go to the instance's
// computer over a tunnel, as those of every other connection to it do: that end
// decides again, and counts.
func (s *service) Connect(ctx context.Context, ref protocol.Ref, in protocol.ConnectInput) (protocol.Conn, error) {
	if s.caller.remote {
		return nil, protocol.Errorf(protocol.ErrInvalid, "connect %s: a peer connects for itself", ref.Reference)
	}
	v := s.books.View()
	i, err := s.instance(v, ref, ledger.RightInstances)
	if err != nil {
		return nil, err
	}
	port, err := wireInstance(v, i).Port(in.Port)
	if err != nil {
		return nil, err
	}
	to := netip.AddrPortFrom(i.Address, port.Number)
	want := tunnel.Want{Address: to, UDP: port.UDP}
	if s.caller.token != nil {
		if want.Ticket, err = s.ticket(ctx, *s.caller.token, to); err != nil {
			return nil, wireError(err)
		}
	}
	stream, err := tunnel.Dial(ctx, s.dialTunnel, mesh.PeerID(i.Computer), want)
	if err != nil {
		computer, _ := v.Computer(i.Computer)
		return nil, connectError(ref.Reference, computer.Name, to.Port(), err)
	}
	return stream.(protocol.Conn), nil
}

// dialTunnel opens a stream to the peer that hosts an instance.
func (d *Daemon) dialTunnel(ctx context.Context, peer mesh.PeerID) (net.Conn, error) {
	return d.mesh.Dial(ctx, peer, mesh.KindTunnel)
}

// connectError says what stood in the way.
func connectError(reference, computer string, port uint16, err error) error {
	switch {
	case errors.Is(err, tunnel.ErrForbidden):
		return protocol.Errorf(protocol.ErrForbidden, "connect %s: its computer %s lets this peer not connect: ask through a peer of its account, or, if it was placed there just now, again", reference, computer)
	case errors.Is(err, tunnel.ErrDown):
		return protocol.Errorf(protocol.ErrUnavailable, "connect %s: nothing answers on its port %d: see slapd show %s and slapd logs %s", reference, port, reference, reference)
	case errors.Is(err, tunnel.ErrBusy):
		return protocol.Errorf(protocol.ErrUnavailable, "connect %s: its computer %s has too many connections: try again", reference, computer)
	case errors.Is(err, context.Canceled):
		return err
	}
	return protocol.Errorf(protocol.ErrUnavailable, "connect %s: its computer %s cannot be reached: %v", reference, computer, err)
}
