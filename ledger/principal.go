package ledger

import "time"

// A PrincipalKind says how a principal was recognised.
type PrincipalKind string

// The kinds of principals.
const (
	// PrincipalSystem is the leader itself, acting for the mesh. It is never
	// taken from a connection.
	PrincipalSystem PrincipalKind = "system"

	// PrincipalPeer is the peer at the other end of a connection.
	PrincipalPeer PrincipalKind = "peer"

	// PrincipalToken is the bearer of a user token.
	PrincipalToken PrincipalKind = "token"

	// PrincipalAccount is an account for which the leader vouches.
	PrincipalAccount PrincipalKind = "account"
)

// A Principal is who asks. The leader sets Kind and the field that the kind
// needs; Decide fills in the rest from the state, so that who was revoked a
// moment ago is refused.
type Principal struct {
	Kind     PrincipalKind `cbor:"1,keyasint"`
	Peer     PeerID        `cbor:"2,keyasint,omitempty"`
	Token    TokenID       `cbor:"3,keyasint,omitempty"`
	Account  AccountName   `cbor:"4,keyasint,omitempty"`
	Operator bool          `cbor:"-"`
	Role     Role          `cbor:"-"`
	Rights   Rights        `cbor:"-"` // that are left of those of its account

	disabled bool // why there are not more
}

// System is the principal of the leader's own housekeeping.
func System() Principal { return Principal{Kind: PrincipalSystem} }

// AsPeer is the principal of a connection from the given peer.
func AsPeer(id PeerID) Principal { return Principal{Kind: PrincipalPeer, Peer: id} }

// AsToken is the principal of the bearer of the given user token.
func AsToken(id TokenID) Principal { return Principal{Kind: PrincipalToken, Token: id} }

// AsAccount is the principal of an account for which the leader vouches.
func AsAccount(name AccountName) Principal {
	return Principal{Kind: PrincipalAccount, Account: name}
}

// String returns who p is, for logs.
func (p Principal) String() string {
	switch p.Kind {
	case PrincipalSystem:
		return "system"
	case PrincipalPeer:
		return "peer " + string(p.Peer)
	case PrincipalToken:
		return "token " + string(p.Token)
	case PrincipalAccount:
		return "account " + string(p.Account)
	}
	return "nobody"
}

// Recognise completes p from what the ledger knows at the given time, or
// refuses it. Servers use it to learn whose questions they answer.
func (s *State) Recognise(p Principal, at time.Time) (Principal, error) {
	switch p.Kind {
	case PrincipalSystem:
		return Principal{Kind: PrincipalSystem, Operator: true, Role: RoleVoter, Rights: AllRights}, nil
	case PrincipalPeer:
		peer, ok := s.Peer(p.Peer)
		if !ok || peer.Revoked {
			return p, refuse(ErrUnauthorized, "peer %s is not a member of this mesh", p.Peer)
		}
		account, _ := s.Account(peer.Account)
		return Principal{
			Kind: PrincipalPeer, Peer: p.Peer, Account: peer.Account, Operator: peer.Operator, Role: peer.Role, Rights: AllRights,
		}.of(account), nil
	case PrincipalToken:
		token, ok := s.Token(p.Token)
		if !ok || token.Role != RoleUser || token.Dead(at) {
			return p, refuse(ErrUnauthorized, "token %s is unknown, revoked or expired: ask for a new one", p.Token)
		}
		return s.recogniseToken(token)
	case PrincipalAccount:
		account, ok := s.Account(p.Account)
		if !ok {
			return p, refuse(ErrUnauthorized, "account %s is not known", p.Account)
		}
		return Principal{
			Kind: PrincipalAccount, Account: p.Account, Operator: account.Operator, Role: RoleUser, Rights: AllRights,
		}.of(account), nil
	}
	return p, refuse(ErrUnauthorized, "nobody asks")
}

// recogniseToken returns who the bearer of a user token is. An operator's
// power takes the scope admin, no project, and a token that was made when the
// account had it already.
func (s *State) recogniseToken(t Token) (Principal, error) {
	account, _ := s.Account(t.Account)
	p := Principal{Kind: PrincipalToken, Token: t.ID, Account: t.Account, Role: RoleUser, Rights: t.Rights()}
	if t.Project == "" {
		p.Operator = account.Operator && p.Rights.Has(RightAdmin) && t.Created.After(account.OperatorSince)
		return p.of(account), nil
	}
	m, ok := s.Member(t.Project, t.Account)
	if !ok {
		return p, refuse(ErrUnauthorized, "token %s is for project %s, to which %s does not belong", t.ID, t.Project, t.Account)
	}
	project, _ := s.Account(t.Project)
	p.Account = t.Project
	p.Rights &= m.Role.Rights()
	return p.of(account).of(project), nil
}

// of takes from p what its account, if that is disabled, may not do.
func (p Principal) of(a Account) Principal {
	if a.Disabled {
		p.Operator, p.disabled = false, true
		p.Rights &= RightRead
	}
	return p
}
