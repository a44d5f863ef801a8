package partition

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// OwnNetwork reports whether instances have networks of their own, in which
// nothing reaches them but what is brought in.
func (c *Computer) OwnNetwork() bool { return c.Walls.OwnNetwork() }

// Dial connects to a port of an instance that is here.
func (c *Computer) Dial(ctx context.Context, i ledger.Instance, port uint16, udp bool) (net.Conn, error) {
	to := netip.AddrPortFrom(i.Address, port)
	if !c.OwnNetwork() {
		return DialHere(ctx, to, udp)
	}
	running, err := c.find(ctx, i)
	if err != nil {
		return nil, err
	}
	defer func() { _ = running.Close() }()
	conn, err := running.Dial(ctx, to, udp)
	if errors.Is(err, supervisor.ErrUnknownCall) { // launched by a slapd without networks: it is on the computer's
		return DialHere(ctx, to, udp)
	}
	return conn, err
}

// DialHere connects to an address on the computer's own loopback.
func DialHere(ctx context.Context, to netip.AddrPort, udp bool) (net.Conn, error) {
	network := "tcp"
	if udp {
		network = "udp"
	}
	return new(net.Dialer).DialContext(ctx, network, to.String())
}

// Network returns what has the network of an instance that is here, or
// [supervisor.ErrNotRunning]. It must be closed.
func (c *Computer) Network(ctx context.Context, i ledger.Instance) (Network, error) {
	running, err := c.find(ctx, i)
	if err != nil {
		return nil, err
	}
	return running, nil
}

// A Network is what a supervisor does for its partition's network; see
// [supervisor.Client].
type Network interface {
	Listen(ctx context.Context, at netip.AddrPort) (*net.TCPListener, error)
	ListenPacket(ctx context.Context, at netip.AddrPort) (net.PacketConn, error)
	Unlisten(ctx context.Context, at string) error
	Serve(ctx context.Context, e supervisor.Entrance, l *net.TCPListener) error
	Unserve(ctx context.Context, e supervisor.Entrance) error
	Network(ctx context.Context) (supervisor.Network, error)
	Close() error
}
