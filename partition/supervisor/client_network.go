package supervisor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
)

// A Network is what a supervisor keeps open between its partition's network
// and others.
type Network struct {
	// Listening are the addresses inside that it listens at for the daemon:
	// what connects there goes elsewhere.
	Listening []string `cbor:"1,keyasint,omitempty"`

	// Serving are the listeners outside that it was passed: what connects
	// there comes in.
	Serving []Entrance `cbor:"2,keyasint,omitempty"`
}

// An Entrance is a listener outside of the partition, whose connections the
// supervisor brings to the same address inside.
type Entrance struct {
	From    string `cbor:"1,keyasint"` // where it listens: a name that the daemon gives
	Address string `cbor:"2,keyasint"` // ADDRESS:PORT inside
}

// Dial connects to a service inside the partition. The connection is as good
// as one that was made inside, and needs the supervisor no more.
func (c *Client) Dial(ctx context.Context, to netip.AddrPort, udp bool) (net.Conn, error) {
	f, err := c.passed(ctx, request{Call: callDial, Address: to.String(), UDP: udp})
	if err != nil {
		return nil, err
	}
	return connectionOf(f, udp)
}

// Listen returns a listener at an address inside the partition. Closing it
// leaves the supervisor's own open, so that the next daemon finds it, until
// [Client.Unlisten].
func (c *Client) Listen(ctx context.Context, at netip.AddrPort) (*net.TCPListener, error) {
	f, err := c.passed(ctx, request{Call: callListen, Address: at.String()})
	if err != nil {
		return nil, err
	}
	return listenerOf(f)
}

// ListenPacket returns a socket for datagrams at an address inside the
// partition. The supervisor keeps none.
func (c *Client) ListenPacket(ctx context.Context, at netip.AddrPort) (net.PacketConn, error) {
	f, err := c.passed(ctx, request{Call: callListen, Address: at.String(), UDP: true})
	if err != nil {
		return nil, err
	}
	return socketOf(f)
}

// Unlisten closes the listener at an address inside, if there is one.
func (c *Client) Unlisten(ctx context.Context, at string) error {
	_, err := c.once(ctx, request{Call: callUnlisten, Address: at})
	return err
}

// Serve passes a listener in: what connects there is brought to e's address
// inside, also when the caller has ended.
func (c *Client) Serve(ctx context.Context, e Entrance, l *net.TCPListener) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	k := &calling{conn, context.AfterFunc(ctx, func() { _ = conn.Close() })}
	defer k.close()
	r := request{Version: protocolVersion, Call: callServe, Address: e.Address, From: e.From}
	if err := writeDescriptor(conn, r, l); err != nil {
		return err
	}
	_, err = k.read(ctx)
	return err
}

// Unserve closes a listener that was passed in, if it is there.
func (c *Client) Unserve(ctx context.Context, e Entrance) error {
	_, err := c.once(ctx, request{Call: callUnserve, Address: e.Address, From: e.From})
	return err
}

// Network returns what the supervisor keeps open for others.
func (c *Client) Network(ctx context.Context) (Network, error) {
	r, err := c.once(ctx, request{Call: callNetwork})
	if err != nil {
		return Network{}, err
	}
	if r.Network == nil {
		return Network{}, errors.New("network: supervisor sent none")
	}
	return *r.Network, nil
}

// passed makes a call whose answer comes with a descriptor.
func (c *Client) passed(ctx context.Context, r request) (*os.File, error) {
	conn, err := c.call(ctx, r)
	if err != nil {
		return nil, err
	}
	defer conn.close()
	var answer reply
	f, err := readDescriptor(conn.Conn.(*net.UnixConn), &answer)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err == nil {
		err = answer.failure()
	}
	if err != nil && f != nil {
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}
