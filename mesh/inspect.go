package mesh

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/slapmesh/slapmesh/mesh/nat"
)

// Who wants to join may look first: the door answers what it would answer a
// request to join, changes nothing and spends no token. It also knocks back,
// once, from a socket that the newcomer has not written to: what arrives
// shows whether others reach the newcomer without its help.

const (
	// inspectFormat is that of a request that only looks. A door that does not
	// know it refuses, rather than to admit.
	inspectFormat = 2
	// knockBack begins the packet that knocks back. It is not one of QUIC.
	knockBack      = byte(0x20)
	knockNonceSize = 16
	// knockPatience is how long a newcomer waits for it.
	knockPatience = 700 * time.Millisecond
)

// inspect answers who only looks.
func (d *door) inspect(ctx context.Context, c *quic.Conn, r joinRequest, a Admission, reply *joinReply) error {
	if d.knock != nil && len(r.Nonce) == knockNonceSize {
		// The address is that of a handshake that was finished, so nobody else
		// can be made to get the packet.
		reply.KnockedBack = d.knock(ctx, c.RemoteAddr(), append([]byte{knockBack}, r.Nonce...)) == nil
	}
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	default:
		return Refuse("too many peers join at this moment: try again")
	}
	invitation, err := d.admitter.Inspect(ctx, a)
	if err != nil {
		return err
	}
	reply.Others = d.others(c.RemoteAddr())
	reply.Role, reply.Account, reply.Uses = invitation.Role, invitation.Account, invitation.Uses
	if !invitation.Expires.IsZero() {
		reply.Expires = invitation.Expires.Unix()
	}
	return nil
}

// maxOthers is how many addresses of others a newcomer is told that only looks.
const maxOthers = 2

// others lists addresses at which a newcomer at an address may ask where it is
// seen: of peers that are reached without help, each on another computer.
func (d *door) others(newcomer net.Addr) (addresses []string) {
	at, ok := addrPortOf(newcomer)
	if !ok {
		return nil
	}
	told := map[netip.Addr]bool{}
	for _, m := range d.book.members() {
		desc, _, _ := d.book.lookup(m.ID)
		if m.State != StateAlive || m.Path != PathDirect || len(desc.Relays) > 0 {
			continue
		}
		best := ""
		for _, text := range m.Addresses {
			a, err := netip.ParseAddrPort(text)
			if err != nil || a.Addr().Is4() != at.Addr().Is4() || a.Addr().IsLoopback() || told[a.Addr()] {
				continue
			}
			if best == "" || nat.Public(a.Addr()) {
				best = text
			}
			told[a.Addr()] = true
		}
		if best != "" {
			addresses = append(addresses, best)
		}
		if len(addresses) == maxOthers {
			break
		}
	}
	return addresses
}

// knockFrom sends a packet from a socket of its own.
func knockFrom(ctx context.Context, to net.Addr, packet []byte) error {
	s, err := new(net.ListenConfig).ListenPacket(ctx, "udp", ":0")
	if err != nil {
		return err
	}
	_, err = s.WriteTo(packet, to)
	return errors.Join(err, s.Close())
}

// An Invitation is what a token, or an open mesh, would grant.
type Invitation struct {
	Role    string
	Account string
	Uses    int       // left, of the token; 0 without one
	Expires time.Time // of the token; zero without one
}

// admission is the question to the Admitter that a request means.
func (r joinRequest) admission(key ed25519.PublicKey, from string) Admission {
	return Admission{
		Open: len(r.Secret) == 0, TokenDigest: tokenDigest(r.Secret), PublicKey: key, Peer: PeerIDOf(key),
		Name: r.Name, Role: r.Role, Addresses: r.Addresses, From: from,
	}
}
