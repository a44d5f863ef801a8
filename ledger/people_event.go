package ledger

import "fmt"

// Founded says that the mesh exists.
type Founded struct {
	Mesh    Mesh
	Account Account
	Peer    Peer
	Secret  []byte
}

func (e Founded) String() string {
	return fmt.Sprintf("founded mesh %s by %s (%s)", e.Mesh.Name, e.Peer.Name, e.Account.Name)
}

func (e Founded) kind() string { return "founded" }

func (e Founded) about() subject { return subject{} }

func (e Founded) evolve(s *State) {
	s.setMesh(e.Mesh)
	s.setAccount(e.Account)
	s.setPeer(e.Peer)
	s.keepSecret(e.Secret)
}

// AccountOpened says that an account exists.
type AccountOpened struct{ Account Account }

func (e AccountOpened) String() string { return "opened account " + string(e.Account.Name) }

func (e AccountOpened) kind() string { return "account-opened" }

func (e AccountOpened) about() subject { return subject{account: e.Account.Name} }

func (e AccountOpened) evolve(s *State) { s.setAccount(e.Account) }

// Admitted says that a peer is a member of the mesh.
type Admitted struct {
	Peer   Peer
	Token  TokenID  // that was used; none in an open mesh
	Opened *Account // that an open mesh opened for it
}

func (e Admitted) String() string {
	return fmt.Sprintf("admitted %s as %s of %s", e.Peer.Name, e.Peer.Role, e.Peer.Account)
}

func (e Admitted) kind() string { return "admitted" }

func (e Admitted) about() subject {
	return subject{account: e.Peer.Account, computer: ComputerID(e.Peer.ID)}
}

func (e Admitted) evolve(s *State) {
	if e.Opened != nil {
		s.setAccount(*e.Opened)
	}
	if t, ok := s.Token(e.Token); ok {
		t.Uses--
		s.setToken(t)
	}
	s.setPeer(e.Peer)
}

// RoleSet says that a peer may be something else from now on.
type RoleSet struct{ Peer Peer }

func (e RoleSet) String() string { return fmt.Sprintf("made %s a %s", e.Peer.Name, e.Peer.Role) }

func (e RoleSet) kind() string { return "role-set" }

func (e RoleSet) about() subject {
	return subject{account: e.Peer.Account, computer: ComputerID(e.Peer.ID)}
}

func (e RoleSet) evolve(s *State) { s.setPeer(e.Peer) }

// PeerRevoked says that a peer was removed for good.
type PeerRevoked struct{ Peer Peer }

func (e PeerRevoked) String() string { return "removed " + e.Peer.Name }

func (e PeerRevoked) kind() string { return "peer-revoked" }

func (e PeerRevoked) about() subject {
	return subject{account: e.Peer.Account, computer: ComputerID(e.Peer.ID)}
}

func (e PeerRevoked) evolve(s *State) { s.setPeer(e.Peer) }

// PeerLeft says that a peer is no member any more, by its own wish.
type PeerLeft struct{ Peer Peer }

func (e PeerLeft) String() string { return e.Peer.Name + " left" }

func (e PeerLeft) kind() string { return "peer-left" }

func (e PeerLeft) about() subject {
	return subject{account: e.Peer.Account, computer: ComputerID(e.Peer.ID)}
}

func (e PeerLeft) evolve(s *State) { s.dropPeer(e.Peer.ID) }

// SeatAssigned says that a peer may take part in consensus under a new seat.
type SeatAssigned struct{ Peer Peer }

func (e SeatAssigned) String() string {
	return fmt.Sprintf("gave seat %d to %s", e.Peer.Seat, e.Peer.Name)
}

func (e SeatAssigned) kind() string { return "seat-assigned" }

func (e SeatAssigned) about() subject { return subject{computer: ComputerID(e.Peer.ID)} }

func (e SeatAssigned) evolve(s *State) {
	mesh, _ := s.Mesh()
	mesh.LastSeat = e.Peer.Seat
	s.setMesh(mesh)
	s.setPeer(e.Peer)
}

// RulesRaised says that decisions follow newer rules from now on.
type RulesRaised struct {
	Rules  uint64
	Secret []byte
}

func (e RulesRaised) String() string { return fmt.Sprintf("raised the rules to %d", e.Rules) }

func (e RulesRaised) kind() string { return "rules-raised" }

func (e RulesRaised) about() subject { return subject{} }

func (e RulesRaised) evolve(s *State) {
	mesh, _ := s.Mesh()
	billed := s.bills()
	was := mesh.Rules
	mesh.Rules = e.Rules
	s.setMesh(mesh)
	s.keepSecret(e.Secret)
	if !billed && s.bills() {
		s.openCharges()
	}
	if e.Rules >= RulesOfGroups && was < RulesOfGroups {
		s.openScopes()
	}
}

// TokenCreated says that a token can be used.
type TokenCreated struct{ Token Token }

func (e TokenCreated) String() string {
	return fmt.Sprintf("created token %s (%s of %s)", e.Token.ID, e.Token.Role, e.Token.Account)
}

func (e TokenCreated) kind() string { return "token-created" }

func (e TokenCreated) about() subject { return subject{account: e.Token.Account} }

func (e TokenCreated) evolve(s *State) { s.setToken(e.Token) }

// TokenRevoked says that a token is useless from now on.
type TokenRevoked struct{ Token Token }

func (e TokenRevoked) String() string { return fmt.Sprintf("revoked token %s", e.Token.ID) }

func (e TokenRevoked) kind() string { return "token-revoked" }

func (e TokenRevoked) about() subject { return subject{account: e.Token.Account} }

func (e TokenRevoked) evolve(s *State) { s.setToken(e.Token) }

// TokenForgotten says that a token that expired long ago is not kept.
type TokenForgotten struct{ Token Token }

func (e TokenForgotten) String() string { return fmt.Sprintf("forgot token %s", e.Token.ID) }

func (e TokenForgotten) kind() string { return "token-forgotten" }

func (e TokenForgotten) about() subject { return subject{account: e.Token.Account, quiet: true} }

func (e TokenForgotten) evolve(s *State) { s.dropToken(e.Token.ID) }
