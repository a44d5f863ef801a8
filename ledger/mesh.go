package ledger

import (
	"time"
)

// A Mesh is what peers agree on about the mesh itself. There is one record.
type Mesh struct {
	Name     string      `cbor:"1,keyasint"`
	ID       string      `cbor:"2,keyasint"`           // hash of the mesh CA's key
	Epoch    uint64      `cbor:"3,keyasint"`           // raised when the mesh is recovered by hand
	Open     bool        `cbor:"4,keyasint,omitempty"` // strangers may join
	Rules    uint64      `cbor:"5,keyasint"`           // version of the rules that decisions follow
	Operator AccountName `cbor:"6,keyasint"`           // the account that init made
	LastSeat uint64      `cbor:"7,keyasint"`           // the seat given last; seats are never reused
	Created  time.Time   `cbor:"8,keyasint"`

	// FirstAddress is how many addresses of the network come before the first
	// one that is given out.
	FirstAddress uint32 `cbor:"9,keyasint,omitempty"`

	Terms Terms `cbor:"10,keyasint"` // about money

	// Ask lets strangers ask to join, and wait for an operator.
	Ask bool `cbor:"80,keyasint,omitempty"`

	// CAs are those that the mesh has had, the oldest first, once there were
	// two.
	CAs []CA `cbor:"81,keyasint,omitempty"`
}

// A Role is what a peer, or the bearer of a token, may be. The empty role is
// none.
type Role string

// The roles. A voter is also a computer, and a computer also a user.
const (
	RoleVoter    Role = "voter"    // may hold the ledger
	RoleComputer Role = "computer" // may offer partitions
	RoleUser     Role = "user"     // may ask
)

func (r Role) valid() bool { return r == RoleVoter || r == RoleComputer || r == RoleUser }

// A Peer is a slapd that was admitted.
type Peer struct {
	ID        PeerID      `cbor:"1,keyasint"`
	Name      string      `cbor:"2,keyasint"`
	PublicKey []byte      `cbor:"3,keyasint"`
	Account   AccountName `cbor:"4,keyasint"`
	Role      Role        `cbor:"5,keyasint"`
	Operator  bool        `cbor:"6,keyasint,omitempty"` // asks as an operator
	Revoked   bool        `cbor:"7,keyasint,omitempty"` // for ever: may do nothing
	Seat      uint64      `cbor:"8,keyasint,omitempty"` // the seat last given; 0 is none yet
	Token     TokenID     `cbor:"9,keyasint,omitempty"` // that admitted it; none in an open mesh
	Admitted  time.Time   `cbor:"10,keyasint"`
}

// A Token lets its bearer join, or, with the role user, ask. The ledger
// knows only the digest of its secret.
type Token struct {
	ID        TokenID     `cbor:"1,keyasint"`
	Digest    []byte      `cbor:"2,keyasint,omitempty"` // SHA-256 of the secret
	Role      Role        `cbor:"3,keyasint"`
	Uses      int         `cbor:"4,keyasint"` // admissions left; a user token is not used up
	Expires   time.Time   `cbor:"5,keyasint"`
	Account   AccountName `cbor:"6,keyasint"`
	CreatedBy AccountName `cbor:"7,keyasint"`
	Created   time.Time   `cbor:"8,keyasint"`
	Revoked   bool        `cbor:"9,keyasint,omitempty"`

	// Scopes are the names of the rights that the bearer has; none are all of
	// its account's.
	Scopes []string `cbor:"10,keyasint,omitempty"`

	// Project is the one for which the bearer acts instead of its account, as
	// far as the role of the account in it goes.
	Project AccountName `cbor:"11,keyasint,omitempty"`
}

// Rights are what the scopes of t leave to its bearer.
func (t Token) Rights() Rights {
	if len(t.Scopes) == 0 {
		return AllRights
	}
	r, _ := ParseRights(t.Scopes) // they were checked
	return r
}

// Dead reports whether t can no longer be used at the given time.
func (t Token) Dead(at time.Time) bool {
	return t.Revoked || !at.Before(t.Expires) || t.Role != RoleUser && t.Uses <= 0
}
