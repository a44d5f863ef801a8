package ledger

import (
	"bytes"
	"slices"
	"time"
)

// Found makes the mesh, its operator's account and its first peer, which
// gets the first seat. It is the first command of every log.
type Found struct {
	Name      string      `cbor:"1,keyasint"`
	ID        string      `cbor:"2,keyasint"` // hash of the mesh CA's key
	Open      bool        `cbor:"3,keyasint,omitempty"`
	Account   AccountName `cbor:"4,keyasint"` // the operator's
	Peer      PeerID      `cbor:"5,keyasint"`
	PeerName  string      `cbor:"6,keyasint"`
	PublicKey []byte      `cbor:"7,keyasint"`

	// FirstAddress is drawn at random: see [Mesh]. What is too large begins
	// anew.
	FirstAddress uint32 `cbor:"8,keyasint,omitempty"`

	// Rules is the rules version that the mesh follows: [CurrentRules] of who
	// founds it.
	Rules uint64 `cbor:"9,keyasint,omitempty"`

	// Secret hides what the journal does not tell: 32 random bytes.
	Secret []byte `cbor:"23,keyasint,omitempty"`

	// Ask lets strangers ask to join from the beginning: see [SetAdmission].
	Ask bool `cbor:"190,keyasint,omitempty"`
}

// Kind returns "found".
func (Found) Kind() string { return "found" }

func (c Found) decide(s *State, x Context) ([]Event, error) {
	if x.Principal.Kind != PrincipalSystem {
		return nil, refuse(ErrForbidden, "found: only the first peer founds a mesh")
	}
	if m, ok := s.Mesh(); ok {
		if first, _ := s.Peer(c.Peer); m.ID == c.ID && bytes.Equal(first.PublicKey, c.PublicKey) {
			return nil, nil // a retry
		}
		return nil, refuse(ErrConflict, "found %s: mesh %s is founded already", c.Name, m.Name)
	}
	if err := checkName("mesh", c.Name, MaxName); err != nil {
		return nil, err
	}
	if err := checkName("mesh id", c.ID, MaxName); err != nil {
		return nil, err
	}
	if err := checkWord("account", string(c.Account), MaxName); err != nil {
		return nil, err
	}
	if c.founding() > CurrentRules {
		return nil, refuse(ErrInvalid, "found %s: rules %d, and %d are known", c.Name, c.Rules, CurrentRules)
	}
	if c.Ask && (c.Open || c.founding() < RulesOfGroups) {
		return nil, refuse(ErrInvalid, "found %s: in an open mesh nobody asks to join", c.Name)
	}
	if err := checkSecret(c.founding(), c.Secret); err != nil {
		return nil, err
	}
	if err := checkNewPeer(c.Peer, c.PeerName, c.PublicKey); err != nil {
		return nil, err
	}
	return []Event{Founded{
		Mesh{
			Name: c.Name, ID: c.ID, Epoch: 1, Open: c.Open, Ask: c.Ask, Rules: c.founding(),
			Operator: c.Account, LastSeat: 1, Created: x.At, FirstAddress: c.FirstAddress % addresses,
		},
		Account{Name: c.Account, Operator: true, Created: x.At},
		Peer{
			ID: c.Peer, Name: c.PeerName, PublicKey: c.PublicKey, Account: c.Account,
			Role: RoleVoter, Operator: true, Seat: 1, Admitted: x.At,
		},
		c.Secret,
	}}, nil
}

// checkSecret refuses rules that know a journal without what hides its
// secrets.
func checkSecret(rules uint64, secret []byte) error {
	if rules >= RulesOfProjects && len(secret) != secretBytes {
		return refuse(ErrInvalid, "rules %d: a secret of %d bytes, %d expected", rules, len(secret), secretBytes)
	}
	return nil
}

// founding returns the rules that a new mesh follows: those that its founder
// knew, whoever replays it.
func (c Found) founding() uint64 {
	if c.Rules == 0 {
		return RulesOfMoney // what did not say so knew no more
	}
	return c.Rules
}

func checkNewPeer(id PeerID, name string, key []byte) error {
	if err := checkPeer(id); err != nil {
		return err
	}
	if err := checkName("peer name", name, MaxName); err != nil {
		return err
	}
	if len(key) == 0 || len(key) > MaxPublicKey {
		return refuse(ErrInvalid, "peer %s: public key of %d bytes, 1 to %d expected", id, len(key), MaxPublicKey)
	}
	return nil
}

// Admit makes whoever holds a token, or anyone in an open mesh, a peer. The
// peer that was asked proposes it. It is idempotent by token and key, so a
// certificate may be signed again for the same pair.
type Admit struct {
	TokenDigest []byte `cbor:"1,keyasint,omitempty"` // SHA-256 of the secret
	Open        bool   `cbor:"2,keyasint,omitempty"` // no token: the mesh is said to be open
	Peer        PeerID `cbor:"3,keyasint"`
	PublicKey   []byte `cbor:"4,keyasint"`
	Name        string `cbor:"5,keyasint"`
}

// Kind returns "admit".
func (Admit) Kind() string { return "admit" }

func (c Admit) decide(s *State, x Context) ([]Event, error) {
	if k := x.Principal.Kind; k != PrincipalPeer && k != PrincipalSystem {
		return nil, refuse(ErrForbidden, "admit %s: only a peer admits peers", c.Name)
	}
	if err := checkNewPeer(c.Peer, c.Name, c.PublicKey); err != nil {
		return nil, err
	}
	old, known := s.Peer(c.Peer)
	switch {
	case known && old.Revoked:
		return nil, refuse(ErrForbidden, "admit %s: this peer was removed from the mesh for good; delete its state folder to join as a new one", c.Name)
	case known && !bytes.Equal(old.PublicKey, c.PublicKey):
		return nil, refuse(ErrConflict, "admit %s: peer %s has another key", c.Name, c.Peer)
	}
	if len(c.TokenDigest) == 0 {
		return c.admitStranger(s, x, known)
	}
	token, ok := s.TokenByDigest(c.TokenDigest)
	switch {
	case !ok:
		return nil, refuse(ErrUnauthorized, "admit %s: the token is not known to this mesh: ask for a new one (slapd token create)", c.Name)
	case token.Role == RoleUser:
		return nil, refuse(ErrForbidden, "admit %s: token %s is for asking, not for joining: ask for one with --role voter or computer", c.Name, token.ID)
	case token.Revoked:
		return nil, refuse(ErrUnauthorized, "admit %s: token %s was revoked", c.Name, token.ID)
	case known && old.Token == token.ID:
		return nil, nil // a retry; it is no matter that the token is used up
	case !x.At.Before(token.Expires):
		return nil, refuse(ErrUnauthorized, "admit %s: token %s expired at %s: ask for a new one (slapd token create)", c.Name, token.ID, token.Expires.UTC().Format(time.RFC3339))
	case token.Uses <= 0:
		return nil, refuse(ErrUnauthorized, "admit %s: token %s is used up: ask for a new one (slapd token create)", c.Name, token.ID)
	case known && old.Account != token.Account:
		return nil, refuse(ErrConflict, "admit %s: this peer belongs to account %s, the token to %s: leave first", c.Name, old.Account, token.Account)
	}
	account, _ := s.Account(token.Account)
	if account.Disabled {
		return nil, refuse(ErrForbidden, "admit %s: account %s of token %s is disabled: ask an operator of the mesh", c.Name, account.Name, token.ID)
	}
	peer := Peer{
		ID: c.Peer, Name: c.Name, PublicKey: c.PublicKey, Account: token.Account, Role: token.Role,
		Operator: operates(account, token.Role), Seat: old.Seat, Token: token.ID, Admitted: x.At,
	}
	return []Event{Admitted{peer, token.ID, nil}}, nil
}

func (c Admit) admitStranger(s *State, x Context, known bool) ([]Event, error) {
	mesh, _ := s.Mesh()
	switch {
	case !c.Open:
		return nil, refuse(ErrUnauthorized, "admit %s: token required", c.Name)
	case !mesh.Open:
		return nil, refuse(ErrUnauthorized, "admit %s: mesh %s is private: join with a token (slapd token create prints one)", c.Name, mesh.Name)
	case known:
		return nil, nil // a retry, or a member that comes back
	case s.accounts.len() >= MaxAccounts:
		return nil, refuse(ErrExhausted, "admit %s: mesh %s has %d accounts already", c.Name, mesh.Name, MaxAccounts)
	}
	name := AccountName("peer-" + c.Peer)
	admitted := Admitted{Peer: Peer{
		ID: c.Peer, Name: c.Name, PublicKey: c.PublicKey, Account: name,
		Role: RoleComputer, Admitted: x.At,
	}}
	if _, again := s.Account(name); !again {
		admitted.Opened = &Account{Name: name, Created: x.At}
	}
	return []Event{admitted}, nil
}

// operates reports whether a peer of that account and role asks as an
// operator. Only a voter of an operator's account does: voters hold the CA
// key and are trusted with everything anyway, a mere computer is not.
func operates(a Account, r Role) bool { return a.Operator && r == RoleVoter }

// SetRole changes what a peer may be.
type SetRole struct {
	Peer PeerID `cbor:"1,keyasint"`
	Role Role   `cbor:"2,keyasint"`
}

// Kind returns "set-role".
func (SetRole) Kind() string { return "set-role" }

func (c SetRole) decide(s *State, x Context) ([]Event, error) {
	peer, err := s.livePeer(c.Peer)
	switch {
	case err != nil:
		return nil, err
	case !x.Principal.Operator:
		return nil, refuse(ErrForbidden, "role of %s: only an operator changes it", peer.Name)
	case c.Role != RoleVoter && c.Role != RoleComputer:
		return nil, refuse(ErrInvalid, "role %q: voter or computer expected", c.Role)
	case peer.Role == c.Role:
		return nil, nil
	case peer.Role == RoleVoter && s.voters() == 1:
		return nil, refuse(ErrConflict, "role of %s: it is the only peer that may hold the ledger", peer.Name)
	}
	account, _ := s.Account(peer.Account)
	peer.Role, peer.Operator = c.Role, operates(account, c.Role)
	return []Event{RoleSet{peer}}, nil
}

// livePeer returns a peer that was not revoked, or a refusal.
func (s *State) livePeer(id PeerID) (Peer, error) {
	peer, ok := s.Peer(id)
	if !ok || peer.Revoked {
		return peer, refuse(ErrNotFound, "peer %s is not a member of this mesh", id)
	}
	return peer, nil
}

// voters counts the peers that may hold the ledger.
func (s *State) voters() (n int) {
	for p := range s.Peers() {
		if p.Role == RoleVoter && !p.Revoked {
			n++
		}
	}
	return n
}

// RemovePeer revokes a peer for good: an operator's answer to a computer
// that was stolen or that misbehaves. Its computer leaves.
type RemovePeer struct {
	Peer PeerID `cbor:"1,keyasint"`
}

// Kind returns "remove-peer".
func (RemovePeer) Kind() string { return "remove-peer" }

func (c RemovePeer) decide(s *State, x Context) ([]Event, error) {
	peer, ok := s.Peer(c.Peer)
	switch {
	case !ok:
		return nil, refuse(ErrNotFound, "peer %s is not a member of this mesh", c.Peer)
	case !x.Principal.Operator:
		return nil, refuse(ErrForbidden, "remove %s: only an operator removes peers", peer.Name)
	case peer.Revoked:
		return nil, nil
	case peer.Role == RoleVoter && s.voters() == 1:
		return nil, refuse(ErrConflict, "remove %s: it is the only peer that may hold the ledger", peer.Name)
	}
	peer.Revoked, peer.Operator = true, false
	return append([]Event{PeerRevoked{peer}}, s.computerLeaves(ComputerID(c.Peer), x.At)...), nil
}

// Leave takes the peer that asks out of the mesh. It may join again with a
// new token, as a new member.
type Leave struct {
	// Force leaves although instances are placed there; they are lost.
	Force bool `cbor:"1,keyasint,omitempty"`
}

// Kind returns "leave".
func (Leave) Kind() string { return "leave" }

func (c Leave) decide(s *State, x Context) ([]Event, error) {
	if x.Principal.Kind != PrincipalPeer {
		return nil, refuse(ErrForbidden, "leave: only a peer leaves, and only by itself")
	}
	peer, _ := s.Peer(x.Principal.Peer)
	if peer.Role == RoleVoter && s.voters() == 1 && s.peers.len() > 1 {
		return nil, refuse(ErrConflict, "leave: %s is the only peer that may hold the ledger: make another one a voter first (slapd members role PEER voter)", peer.Name)
	}
	if placed := len(slices.Collect(s.InstancesOn(ComputerID(peer.ID)))); placed > 0 && !c.Force {
		return nil, refuse(ErrConflict, "leave: instances are placed on this computer (%d): destroy them first, or leave with --force, which loses them", placed)
	}
	return append([]Event{PeerLeft{peer}}, s.computerLeaves(ComputerID(peer.ID), x.At)...), nil
}

// AssignSeat gives a peer a new seat, under which it may take part in
// consensus. Seats are never reused, so an old disk cannot vote twice.
type AssignSeat struct {
	Peer PeerID `cbor:"1,keyasint"`
}

// Kind returns "assign-seat".
func (AssignSeat) Kind() string { return "assign-seat" }

func (c AssignSeat) decide(s *State, x Context) ([]Event, error) {
	if x.Principal.Kind != PrincipalSystem {
		return nil, refuse(ErrForbidden, "seat of %s: only the leader assigns seats", c.Peer)
	}
	peer, err := s.livePeer(c.Peer)
	if err != nil {
		return nil, err
	}
	if peer.Role != RoleVoter {
		return nil, refuse(ErrForbidden, "seat of %s: its role is %s", peer.Name, peer.Role)
	}
	mesh, _ := s.Mesh()
	mesh.LastSeat++
	peer.Seat = mesh.LastSeat
	return []Event{SeatAssigned{peer}}, nil
}

// RaiseRules makes decisions follow newer rules, once every voter knows them.
type RaiseRules struct {
	Rules  uint64 `cbor:"1,keyasint"`
	Secret []byte `cbor:"23,keyasint,omitempty"` // as in Found
}

// Kind returns "raise-rules".
func (RaiseRules) Kind() string { return "raise-rules" }

func (c RaiseRules) decide(s *State, x Context) ([]Event, error) {
	mesh, _ := s.Mesh()
	switch {
	case x.Principal.Kind != PrincipalSystem:
		return nil, refuse(ErrForbidden, "raise rules: only the leader raises them")
	case c.Rules == mesh.Rules:
		return nil, nil
	case c.Rules < mesh.Rules || c.Rules > CurrentRules:
		return nil, refuse(ErrInvalid, "raise rules to %d: they are at %d, and %d are known", c.Rules, mesh.Rules, CurrentRules)
	}
	if err := checkSecret(c.Rules, c.Secret); err != nil {
		return nil, err
	}
	events := []Event{RulesRaised(c)}
	if mesh.Rules < RulesOfProjects && c.Rules >= RulesOfProjects {
		carried, err := s.carryOver()
		if err != nil {
			return nil, err
		}
		events = append(events, carried...)
	}
	return events, nil
}
