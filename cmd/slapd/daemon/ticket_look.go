package daemon

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/protocol"
)

// A look is what somebody wants of an instance where it runs.
type look string

const (
	lookLogs look = "logs"
	lookExec look = "exec"
)

// needs are the rights that it takes.
func (l look) needs() (ledger.Rights, error) {
	switch l {
	case lookLogs:
		return ledger.RightRead, nil
	case lookExec:
		return ledger.RightInstances, nil
	}
	return 0, &ledger.Refusal{Code: ledger.ErrInvalid, Detail: fmt.Sprintf("ticket: look %.20q is not known", string(l))}
}

// ticketScheme begins the Authorization of a call that is passed on with a
// ticket.
const ticketScheme = "Ticket "

// lookTicket asks the leader for a ticket with which this peer may look into an
// instance for the bearer of a token, as an Authorization. The computer that is
// asked never sees the token.
func (s *service) lookTicket(ctx context.Context, id ledger.InstanceID, l look) (string, error) {
	digest := s.caller.token.Digest()
	ticket, err := s.askTicket(ctx, ticketRequest{TokenDigest: digest[:], Instance: id, Look: l})
	if err != nil {
		return "", wireError(err)
	}
	return ticketScheme + base64.StdEncoding.EncodeToString(ticket), nil
}

// issueLook signs, on the leader, that a peer may look into an instance for
// whom p is.
func (d *Daemon) issueLook(v *ledger.State, p ledger.Principal, peer mesh.PeerID, in ticketRequest) (ticketReply, error) {
	need, err := in.Look.needs()
	if err != nil {
		return ticketReply{}, err
	}
	i, ok := v.Instance(in.Instance)
	if !ok {
		return ticketReply{}, &ledger.Refusal{Code: ledger.ErrNotFound, Detail: fmt.Sprintf("instance %s is not known", in.Instance)}
	}
	if _, err := v.ActFor(p, i.Account, need); err != nil {
		return ticketReply{}, err
	}
	ticket, err := signTicket(d.signs, d.mesh.ID(), ticketBody{
		Peer: string(peer), Until: d.cfg.Clock().Add(ticketLife).Unix(), By: string(d.mesh.Self()), Instance: i.ID, Look: in.Look,
	})
	return ticketReply{ticket}, err
}

// ticketed recognises who shows a ticket to look into an instance.
func (d *Daemon) ticketed(peer mesh.PeerID, text string) (caller, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err == nil && len(data) > ticketMax {
		err = fmt.Errorf("%d bytes, at most %d are allowed", len(data), ticketMax)
	}
	if err != nil {
		return caller{}, protocol.Errorf(protocol.ErrUnauthorized, "ticket: %v", err)
	}
	b, err := readTicket(d.books.View(), d.mesh.ID(), data, peer, d.cfg.Clock())
	if err != nil {
		return caller{}, protocol.Errorf(protocol.ErrUnauthorized, "%v", err)
	}
	return caller{ticket: &b}, nil
}

// ticketMax bounds a ticket, in bytes.
const ticketMax = 512

// lookedInto returns the instance that a caller wants to look into: by its
// rights, or by a ticket for just that.
func (s *service) lookedInto(v *ledger.State, ref protocol.Ref, l look) (ledger.Instance, error) {
	if t := s.caller.ticket; t != nil {
		i, ok := v.Instance(t.Instance)
		if !ok || t.Look != l || i.Account != ledger.AccountName(ref.Account) {
			return i, protocol.Errorf(protocol.ErrForbidden, "%s %s: the ticket is not for that", l, ref.Reference)
		}
		return i, nil
	}
	need, err := l.needs()
	if err != nil {
		return ledger.Instance{}, err
	}
	return s.instance(v, ref, need)
}
