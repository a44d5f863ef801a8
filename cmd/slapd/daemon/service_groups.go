package daemon

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/protocol"
)

// SetAdmission implements [protocol.Groups].
func (s *service) SetAdmission(ctx context.Context, in protocol.AdmissionInput) (protocol.Admission, error) {
	v, err := s.propose(ctx, ledger.SetAdmission{Ask: in.Ask})
	if err != nil {
		return protocol.Admission{}, err
	}
	m, _ := v.Mesh()
	out := protocol.Admission{Ask: m.Ask}
	if m.Ask {
		out.Join = s.askLine()
	}
	return out, nil
}

// Pending implements [protocol.Groups].
func (s *service) Pending(context.Context) ([]protocol.Applicant, error) {
	v := s.books.View()
	if err := s.operator(v, "pending"); err != nil {
		return nil, err
	}
	return s.pending(v), nil
}

func (s *service) pending(v *ledger.State) []protocol.Applicant {
	out := []protocol.Applicant{}
	for a := range v.Applicants() {
		if _, waits := v.Applicant(a.Peer, s.cfg.Clock()); waits {
			out = append(out, wireApplicant(a))
		}
	}
	slices.SortFunc(out, func(a, b protocol.Applicant) int {
		return cmp.Or(a.Asked.Compare(b.Asked), cmp.Compare(a.PeerID, b.PeerID))
	})
	return out
}

func wireApplicant(a ledger.Applicant) protocol.Applicant {
	return protocol.Applicant{PeerID: string(a.Peer), Name: a.Name, From: a.From, Asked: a.Asked, Expires: a.Expires, Refused: a.Refused}
}

// applicant finds who asks to join by id, or by the beginning of it. Names are
// what strangers choose: nobody is let in by one.
func (s *service) applicant(named string) (protocol.Applicant, error) {
	v := s.books.View()
	if err := s.operator(v, "pending"); err != nil {
		return protocol.Applicant{}, err
	}
	var found []protocol.Applicant
	for _, a := range s.pending(v) {
		if len(named) >= 4 && strings.HasPrefix(a.PeerID, named) {
			found = append(found, a)
		}
	}
	switch len(found) {
	case 0:
		return protocol.Applicant{}, protocol.Errorf(protocol.ErrNotFound, "nobody of the id %.40s asks to join: give it, or four or more characters of its beginning, as the other computer shows it (see slapd members pending)", named)
	case 1:
		return found[0], nil
	}
	return protocol.Applicant{}, protocol.Errorf(protocol.ErrConflict, "%d ids begin with %s: give the whole one", len(found), named)
}

// Approve implements [protocol.Groups].
func (s *service) Approve(ctx context.Context, peer string, in protocol.ApproveInput) (protocol.Applicant, error) {
	a, err := s.applicant(peer)
	if err != nil {
		return a, err
	}
	_, err = s.propose(ctx, ledger.Approve{Peer: ledger.PeerID(a.PeerID), Role: ledger.Role(cmp.Or(in.Role, protocol.RoleComputer)), Account: ledger.AccountName(in.Account)})
	return a, err
}

// Refuse implements [protocol.Groups].
func (s *service) Refuse(ctx context.Context, peer string, in protocol.RefuseInput) (protocol.Applicant, error) {
	a, err := s.applicant(peer)
	if err != nil {
		return a, err
	}
	v, err := s.propose(ctx, ledger.RefuseApplicant{Peer: ledger.PeerID(a.PeerID), Reason: cmp.Or(strings.TrimSpace(in.Reason), "no reason was given")})
	if err != nil {
		return a, err
	}
	refused, _ := v.Applicant(ledger.PeerID(a.PeerID), s.cfg.Clock())
	return wireApplicant(refused), nil
}
