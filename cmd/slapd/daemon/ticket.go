package daemon

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/tunnel"
)

// Who asks with a token may connect to what the token's account has, through
// any peer. The computer that hosts it shall neither believe that peer nor
// see the token, with which it could ask for more: a ticket of the leader, which
// checks the token, says that this peer may connect to this address, or look
// into this instance, for a while.

// ticketPath is where the leader is asked for one.
const ticketPath = "/v1/ticket"

const (
	// ticketLife is how long a ticket lets a connection begin.
	ticketLife = time.Minute
	// ticketSkew is how far clocks may be apart.
	ticketSkew = 2 * time.Minute
)

// A ticketRequest asks the leader for a ticket; who asks, and so who may use
// it, is known from the connection.
type ticketRequest struct {
	TokenDigest []byte         `json:"token_digest"`
	Address     netip.AddrPort `json:"address,omitzero"`

	// Instance and Look ask for a ticket to look into an instance instead.
	Instance ledger.InstanceID `json:"instance,omitempty"`
	Look     look              `json:"look,omitempty"`
}

type ticketReply struct {
	Ticket []byte `json:"ticket"`
}

// ticketBody is what is signed.
type ticketBody struct {
	Peer    string `cbor:"1,keyasint"` // who may connect
	Address string `cbor:"2,keyasint"` // to what
	Until   int64  `cbor:"3,keyasint"` // Unix seconds
	By      string `cbor:"4,keyasint"` // the peer that signed

	// Of one to look into an instance, which has no address.
	Instance ledger.InstanceID `cbor:"5,keyasint,omitempty"`
	Look     look              `cbor:"6,keyasint,omitempty"`
}

// ticketEnvelope keeps the signed bytes as they were.
type ticketEnvelope struct {
	_         struct{} `cbor:",toarray"`
	Body      []byte
	Signature []byte
}

func ticketMessage(meshID string, body []byte) []byte {
	return append([]byte("slapd tunnel ticket 1 of mesh "+meshID+"\x00"), body...)
}

// ticket asks the leader for a ticket for the bearer of a token.
func (d *Daemon) ticket(ctx context.Context, token mesh.Token, to netip.AddrPort) ([]byte, error) {
	digest := token.Digest()
	return d.askTicket(ctx, ticketRequest{TokenDigest: digest[:], Address: to})
}

func (d *Daemon) askTicket(ctx context.Context, in ticketRequest) ([]byte, error) {
	var out ticketReply
	err := d.atLeader(ctx, ticketPath, in, &out, func(context.Context) (err error) {
		out, err = d.issueTicket(d.mesh.Self(), in)
		return err
	})
	return out.Ticket, err
}

// issueTicket signs, on the leader, that a peer may connect for the bearer of
// a token.
func (d *Daemon) issueTicket(peer mesh.PeerID, in ticketRequest) (ticketReply, error) {
	v, now := d.books.View(), d.cfg.Clock()
	token, ok := v.TokenByDigest(in.TokenDigest)
	if !ok {
		return ticketReply{}, &ledger.Refusal{Code: ledger.ErrUnauthorized, Detail: "the token is not known"}
	}
	p, err := v.Recognise(ledger.AsToken(token.ID), now)
	if err != nil {
		return ticketReply{}, err
	}
	if in.Look != "" {
		return d.issueLook(v, p, peer, in)
	}
	i, ok := v.InstanceAt(in.Address.Addr())
	if !ok {
		return ticketReply{}, &ledger.Refusal{Code: ledger.ErrNotFound, Detail: fmt.Sprintf("no instance has the address %s", in.Address.Addr())}
	}
	if _, err := v.ActFor(p, i.Account, ledger.RightInstances); err != nil {
		return ticketReply{}, err
	}
	ticket, err := signTicket(d.signs, d.mesh.ID(), ticketBody{
		Peer: string(peer), Address: in.Address.String(), Until: now.Add(ticketLife).Unix(), By: string(d.mesh.Self()),
	})
	return ticketReply{ticket}, err
}

func signTicket(sign func([]byte) []byte, meshID string, b ticketBody) ([]byte, error) {
	body, err := cbor.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encode ticket: %w", err)
	}
	ticket, err := cbor.Marshal(ticketEnvelope{Body: body, Signature: sign(ticketMessage(meshID, body))})
	if err != nil {
		return nil, fmt.Errorf("encode ticket: %w", err)
	}
	return ticket, nil
}

// checkTicket believes a ticket to connect to this address.
func checkTicket(v *ledger.State, meshID string, want tunnel.Want, peer mesh.PeerID, now time.Time) error {
	b, err := readTicket(v, meshID, want.Ticket, peer, now)
	if err == nil && (b.Address != want.Address.String() || b.Look != "") {
		err = fmt.Errorf("ticket: it is for %.40q", b.Address)
	}
	return err
}

// readTicket believes a ticket that a peer which may vote signed, for the very
// peer that shows it.
func readTicket(v *ledger.State, meshID string, data []byte, peer mesh.PeerID, now time.Time) (b ticketBody, err error) {
	var e ticketEnvelope
	if err := cbor.Unmarshal(data, &e); err != nil {
		return b, fmt.Errorf("read ticket: %w", err)
	}
	if err := cbor.Unmarshal(e.Body, &b); err != nil {
		return b, fmt.Errorf("read ticket: %w", err)
	}
	by, known := v.Peer(ledger.PeerID(b.By))
	shower, member := v.Peer(ledger.PeerID(peer))
	switch {
	case !known || by.Revoked || by.Role != ledger.RoleVoter || len(by.PublicKey) != ed25519.PublicKeySize:
		return b, fmt.Errorf("ticket: signed by %.40q, which may not vote", b.By)
	case !ed25519.Verify(by.PublicKey, ticketMessage(meshID, e.Body), e.Signature):
		return b, errors.New("ticket: its signature is wrong")
	case b.Peer != string(peer) || !member || shower.Revoked:
		return b, fmt.Errorf("ticket: it is for peer %.40q", b.Peer)
	case now.After(time.Unix(b.Until, 0).Add(ticketSkew)):
		return b, errors.New("ticket: it has expired")
	}
	return b, nil
}

// serveTickets lets other peers ask this one, should it lead.
func (d *Daemon) serveTickets() {
	handle(d.rpc, ticketPath, func(ctx context.Context, caller mesh.PeerID, in ticketRequest) (ticketReply, error) {
		if !d.books.Leads() {
			return ticketReply{}, d.elsewhere(ctx)
		}
		return d.issueTicket(caller, in)
	})
}
