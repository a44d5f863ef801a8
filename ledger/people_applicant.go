package ledger

import (
	"bytes"
	"iter"
	"time"
)

// An Applicant asks to join a mesh that lets strangers ask, and waits for an
// operator. The ledger remembers it for a while, also that it was refused.
type Applicant struct {
	Peer      PeerID    `cbor:"1,keyasint"`
	Name      string    `cbor:"2,keyasint"`
	PublicKey []byte    `cbor:"3,keyasint"`
	From      string    `cbor:"4,keyasint,omitempty"` // the address that it was seen at, for people
	Asked     time.Time `cbor:"5,keyasint"`           // first
	Expires   time.Time `cbor:"6,keyasint"`
	Refused   string    `cbor:"7,keyasint,omitempty"` // why, if it was
}

const (
	// MaxApplicants bounds how many are remembered.
	MaxApplicants = 64

	// applicantLife is how long one waits before it must ask again, and how
	// long it is remembered that it was refused.
	applicantLife = 24 * time.Hour

	maxReason = 200
)

// Applicant returns who asked to join under that id, if that is remembered at
// the given time.
func (s *State) Applicant(id PeerID, at time.Time) (Applicant, bool) {
	a, ok := s.applicants.get(Key{A: string(id)})
	return a, ok && at.Before(a.Expires)
}

// Applicants iterates over those who asked to join, by peer id, those
// included whose time is over.
func (s *State) Applicants() iter.Seq[Applicant] { return values(s.applicants.all()) }

func (s *State) setApplicant(a Applicant) { put(s, &s.applicants, Key{A: string(a.Peer)}, a) }

func (s *State) dropApplicant(id PeerID) { drop(s, &s.applicants, Key{A: string(id)}) }

// SetAdmission lets strangers ask to join, or no longer.
type SetAdmission struct {
	Ask bool `cbor:"1,keyasint,omitempty"`
}

// Kind returns "set-admission".
func (SetAdmission) Kind() string { return "set-admission" }

func (SetAdmission) rules() uint64 { return RulesOfGroups }

func (c SetAdmission) decide(s *State, x Context) ([]Event, error) {
	mesh, _ := s.Mesh()
	switch {
	case !x.Principal.Operator:
		return nil, refuse(ErrForbidden, "admission: only an operator changes it")
	case mesh.Open && c.Ask:
		return nil, refuse(ErrConflict, "admission: mesh %s is open: whoever knows its fingerprint joins without asking", mesh.Name)
	case mesh.Ask == c.Ask:
		return nil, nil
	}
	return []Event{AdmissionSet(c)}, nil
}

// Apply notes that a stranger asks to join. The peer that was asked proposes
// it.
type Apply struct {
	Peer      PeerID `cbor:"1,keyasint"`
	Name      string `cbor:"2,keyasint"`
	PublicKey []byte `cbor:"3,keyasint"`
	From      string `cbor:"4,keyasint,omitempty"`
}

// Kind returns "apply".
func (Apply) Kind() string { return "apply" }

func (Apply) rules() uint64 { return RulesOfGroups }

func (c Apply) decide(s *State, x Context) ([]Event, error) {
	if k := x.Principal.Kind; k != PrincipalPeer && k != PrincipalSystem {
		return nil, refuse(ErrForbidden, "apply %s: only a peer passes on that somebody asks", c.Name)
	}
	if err := checkNewPeer(c.Peer, c.Name, c.PublicKey); err != nil {
		return nil, err
	}
	if c.From != "" {
		if err := checkName("address", c.From, MaxName); err != nil {
			return nil, err
		}
	}
	mesh, _ := s.Mesh()
	old, known := s.Peer(c.Peer)
	waiting, waits := s.Applicant(c.Peer, x.At)
	switch {
	case known && old.Revoked:
		return nil, refuse(ErrForbidden, "admit %s: this peer was removed from the mesh for good; delete its state folder to join as a new one", c.Name)
	case known && bytes.Equal(old.PublicKey, c.PublicKey):
		return nil, nil // it is a member
	case known || waits && !bytes.Equal(waiting.PublicKey, c.PublicKey):
		return nil, refuse(ErrConflict, "admit %s: peer %s has another key", c.Name, c.Peer)
	case !mesh.Ask:
		return nil, refuse(ErrUnauthorized, "admit %s: mesh %s is private: join with a token (slapd token create prints one)", c.Name, mesh.Name)
	case waits && waiting.Refused != "":
		return nil, refuse(ErrForbidden, "admit %s: an operator refused: %s", c.Name, waiting.Refused)
	case waits:
		return nil, nil
	}
	var events []Event
	left := s.applicants.len()
	for a := range s.Applicants() {
		if !x.At.Before(a.Expires) {
			events = append(events, ApplicantForgotten{a})
			left--
		}
	}
	if left >= MaxApplicants {
		return nil, refuse(ErrExhausted, "admit %s: %d others wait already: ask again when an operator has looked at them", c.Name, left)
	}
	return append(events, Applied{Applicant{
		Peer: c.Peer, Name: c.Name, PublicKey: c.PublicKey, From: c.From, Asked: x.At, Expires: x.At.Add(applicantLife),
	}}), nil
}

// Approve makes an applicant a member.
type Approve struct {
	Peer    PeerID      `cbor:"1,keyasint"`
	Role    Role        `cbor:"2,keyasint"`
	Account AccountName `cbor:"3,keyasint,omitempty"` // made if it is new; the caller's if empty
}

// Kind returns "approve".
func (Approve) Kind() string { return "approve" }

func (Approve) rules() uint64 { return RulesOfGroups }

func (c Approve) decide(s *State, x Context) ([]Event, error) {
	if !x.Principal.Operator {
		return nil, refuse(ErrForbidden, "approve %s: only an operator admits peers", c.Peer)
	}
	if c.Role != RoleVoter && c.Role != RoleComputer {
		return nil, refuse(ErrInvalid, "approve %s: role %q: voter or computer expected", c.Peer, c.Role)
	}
	name, err := s.ActFor(x.Principal, c.Account, RightAdmin)
	if err != nil {
		return nil, err
	}
	waiting, waits := s.Applicant(c.Peer, x.At)
	if old, known := s.Peer(c.Peer); known && !old.Revoked && !waits {
		return nil, nil // a retry
	}
	if !waits {
		return nil, refuse(ErrNotFound, "approve %s: nobody of that id asks to join (slapd members pending lists who does)", c.Peer)
	}
	account, known := s.Account(name)
	admitted := Admitted{Peer: Peer{
		ID: c.Peer, Name: waiting.Name, PublicKey: waiting.PublicKey, Account: name,
		Role: c.Role, Operator: operates(account, c.Role), Admitted: x.At,
	}}
	switch {
	case known && account.Disabled:
		return nil, refuse(ErrForbidden, "approve %s: account %s is disabled", c.Peer, name)
	case !known && s.accounts.len() >= MaxAccounts:
		return nil, refuse(ErrExhausted, "approve %s: the mesh has %d accounts already", c.Peer, MaxAccounts)
	case !known:
		if err := s.checkNewAccount("approve: account", name); err != nil {
			return nil, err
		}
		admitted.Opened = &Account{Name: name, Created: x.At}
	}
	return []Event{ApplicantForgotten{waiting}, admitted}, nil
}

// RefuseApplicant tells an applicant that it may not join.
type RefuseApplicant struct {
	Peer   PeerID `cbor:"1,keyasint"`
	Reason string `cbor:"2,keyasint"`
}

// Kind returns "refuse-applicant".
func (RefuseApplicant) Kind() string { return "refuse-applicant" }

func (RefuseApplicant) rules() uint64 { return RulesOfGroups }

func (c RefuseApplicant) decide(s *State, x Context) ([]Event, error) {
	if !x.Principal.Operator {
		return nil, refuse(ErrForbidden, "refuse %s: only an operator decides who joins", c.Peer)
	}
	if err := checkName("reason", c.Reason, maxReason); err != nil {
		return nil, err
	}
	waiting, waits := s.Applicant(c.Peer, x.At)
	switch {
	case !waits:
		return nil, refuse(ErrNotFound, "refuse %s: nobody of that id asks to join (slapd members pending lists who does)", c.Peer)
	case waiting.Refused == c.Reason:
		return nil, nil
	}
	waiting.Refused, waiting.Expires = c.Reason, x.At.Add(applicantLife)
	return []Event{ApplicantRefused{waiting}}, nil
}
