package mesh

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
)

// delegate is what memberlist asks and tells. It is called while memberlist
// holds its locks, so it must not call back.
type delegate struct {
	g *gossip
	p *pool
}

// NodeMeta is this peer's descriptor.
func (d delegate) NodeMeta(int) []byte { return d.g.own.Load().encoded }

// NotifyMsg is for messages besides membership, of which there are none.
func (delegate) NotifyMsg([]byte) {}

// GetBroadcasts has none to send.
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState adds nothing to an exchange.
func (delegate) LocalState(bool) []byte { return nil }

// MergeRemoteState expects nothing from one.
func (delegate) MergeRemoteState([]byte, bool) {}

// NotifyAlive refuses who is not who it says, not of this mesh, or removed.
func (d delegate) NotifyAlive(n *memberlist.Node) error {
	desc, err := d.g.descriptor(n)
	switch {
	case err != nil:
		return err
	case string(desc.Peer) != n.Name || !n.Addr.Equal(syntheticIP(desc.Peer)):
		return errors.New("the descriptor is another peer's")
	case desc.Peer == d.g.self:
		return nil // when others tell what this peer said before it restarted, memberlist says it anew, to all
	case d.g.wall.revoked(desc.Peer):
		return errors.New("the peer was removed from the mesh")
	case d.g.book.failed(desc) && d.g.links.held(desc.Peer) == nil:
		return errors.New("the peer is gone, and says nothing new itself")
	}
	if err := d.g.wall.believes(desc); err != nil {
		return err
	}
	if !d.g.book.put(desc) {
		return errors.New("a newer descriptor of it is known")
	}
	return nil
}

// NotifyJoin says that a peer gossips. To where one is back that was gone, this
// peer was gone as well: it says something new, by which it is believed to be
// back.
func (d delegate) NotifyJoin(n *memberlist.Node) {
	d.p.tell(func() {
		gone := d.g.book.gone(PeerID(n.Name))
		d.g.tiers.Joined(n.Name)
		if gone {
			d.g.speak()
		}
	})
}

// NotifyUpdate says that a peer was started again, or moved.
func (d delegate) NotifyUpdate(n *memberlist.Node) {
	d.p.tell(func() { d.g.tiers.Updated(n.Name) })
}

// NotifyLeave says that a peer gossips no more.
func (d delegate) NotifyLeave(n *memberlist.Node) {
	d.p.tell(func() { d.g.tiers.Gone(n.Name) })
}

// transport lets memberlist reach peers by name.
type transport struct {
	g *gossip
	p *pool
}

var _ memberlist.NodeAwareTransport = transport{}

const syntheticPort = 1

// syntheticIP is the address that memberlist believes a peer to have.
func syntheticIP(id PeerID) net.IP {
	sum := sha256.Sum256([]byte(id))
	sum[0] = 0xfd // a private address
	return net.IP(sum[:16])
}

func syntheticAddress(id PeerID) string {
	return fmt.Sprintf("[%s]:%d", syntheticIP(id), syntheticPort)
}

var errNameless = errors.New("gossip: a node name is required")

// FinalAdvertiseAddr is the address made up for this peer.
func (t transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return syntheticIP(t.g.self), syntheticPort, nil
}

// PacketCh delivers datagrams.
func (t transport) PacketCh() <-chan *memberlist.Packet { return t.p.packets }

// StreamCh delivers streams.
func (t transport) StreamCh() <-chan net.Conn { return t.p.accepted }

// Shutdown leaves the links to their owner.
func (t transport) Shutdown() error { return nil }

// WriteTo is never used: nodes have names.
func (t transport) WriteTo([]byte, string) (time.Time, error) { return time.Time{}, errNameless }

// DialTimeout is never used: nodes have names.
func (t transport) DialTimeout(string, time.Duration) (net.Conn, error) { return nil, errNameless }

// WriteToAddress never blocks and never fails: an error other than a network
// failure would keep memberlist from ever suspecting the peer.
func (t transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	t.g.traffic.sent.Add(uint64(len(b)))
	t.g.links.gossip(PeerID(a.Name), append([]byte{datagramGossip}, b...))
	return t.g.wall.clock(), nil
}

// DialAddressTimeout opens a stream to a peer by its name.
func (t transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.g.links.ctx, timeout)
	defer cancel()
	c, err := t.g.streams.open(ctx, PeerID(a.Name), kindGossip)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp-mesh", Addr: Addr{PeerID(a.Name)}, Err: err}
	}
	return countedConn{c, &t.g.traffic}, nil
}

// debugWriter logs what memberlist prints. All of it is of interest only to
// who looks for it: what matters is told by the changes of Members.
type debugWriter struct{ log *slog.Logger }

// Write takes one line.
func (w debugWriter) Write(line []byte) (int, error) {
	w.log.Debug("memberlist", "line", strings.TrimSpace(string(line)))
	return len(line), nil
}
