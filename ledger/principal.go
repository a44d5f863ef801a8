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
		return Principal{Kind: PrincipalSystem, Operator: true, Role: RoleVoter}, nil
	case PrincipalPeer:
		peer, ok := s.Peer(p.Peer)
		if !ok || peer.Revoked {
			return p, refuse(ErrUnauthorized, "peer %s is not a member of this mesh", p.Peer)
		}
		return Principal{PrincipalPeer, p.Peer, "", peer.Account, peer.Operator, peer.Role}, nil
	case PrincipalToken:
		token, ok := s.Token(p.Token)
		if !ok || token.Role != RoleUser || token.Dead(at) {
			return p, refuse(ErrUnauthorized, "token %s is unknown, revoked or expired: ask for a new one", p.Token)
		}
		account, _ := s.Account(token.Account)
		return Principal{PrincipalToken, "", p.Token, token.Account, account.Operator, RoleUser}, nil
	case PrincipalAccount:
		account, ok := s.Account(p.Account)
		if !ok {
			return p, refuse(ErrUnauthorized, "account %s is not known", p.Account)
		}
		return Principal{PrincipalAccount, "", "", p.Account, account.Operator, RoleUser}, nil
	}
	return p, refuse(ErrUnauthorized, "nobody asks")
}

// account returns the account that p acts for when it names wanted: its own
// if wanted is empty, another's only as an operator.
func (p Principal) account(wanted AccountName) (AccountName, error) {
	switch {
	case wanted == "" && p.Account == "":
		return "", refuse(ErrInvalid, "account required")
	case wanted == "" || wanted == p.Account:
		return p.Account, nil
	case !p.Operator:
		return "", refuse(ErrForbidden, "%s may not act for account %s", p, wanted)
	}
	return wanted, nil
}
