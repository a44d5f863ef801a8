package ledger

import (
	"iter"
	"time"
)

// An AccountKind says what an account is.
type AccountKind string

// The kinds of accounts.
const (
	KindUser    AccountKind = ""        // a person, or a peer that nobody invited
	KindProject AccountKind = "project" // what several users own together
)

// An Account owns computers and instances, pays, and asks.
type Account struct {
	Name     AccountName `cbor:"1,keyasint"`
	Operator bool        `cbor:"2,keyasint,omitempty"` // may ask on behalf of all
	Created  time.Time   `cbor:"3,keyasint"`
	Kind     AccountKind `cbor:"4,keyasint,omitempty"`
	Disabled bool        `cbor:"5,keyasint,omitempty"` // may read, and nothing else
	Quota    Quota       `cbor:"6,keyasint,omitzero"`

	// CreatedBy is who made the project: it may make so many only.
	CreatedBy AccountName `cbor:"7,keyasint,omitempty"`

	// OperatorSince is when the account became an operator's; zero for those
	// that init made. Tokens from before have no operator's power: peers of
	// the account know their digests.
	OperatorSince time.Time `cbor:"8,keyasint,omitzero"`

	// Deleted is when the project was deleted. It is kept until the last bill
	// in which it takes part is forgotten, so that nobody inherits its debts
	// with its name.
	Deleted time.Time `cbor:"9,keyasint,omitzero"`
}

// Project reports whether a is a project that was not deleted.
func (a Account) Project() bool { return a.Kind == KindProject && a.Deleted.IsZero() }

// A MemberRole says what a user may do for a project.
type MemberRole string

// The roles of a project's members.
const (
	RoleOwner     MemberRole = "owner"     // everything
	RoleDeveloper MemberRole = "developer" // instances
	RoleViewer    MemberRole = "viewer"    // look, but not at secrets
)

// Rights returns what a member of that role may do for its project.
func (r MemberRole) Rights() Rights {
	switch r {
	case RoleOwner:
		return AllRights
	case RoleDeveloper:
		return RightRead | RightInstances
	case RoleViewer:
		return RightRead
	}
	return 0
}

// A Membership says that a user belongs to a project.
type Membership struct {
	Project AccountName `cbor:"1,keyasint"`
	Account AccountName `cbor:"2,keyasint"`
	Role    MemberRole  `cbor:"3,keyasint"`
	Since   time.Time   `cbor:"4,keyasint"` // of the role
}

// Bounds on projects.
const (
	MaxMembers     = 1_000 // members of one project
	MaxMemberships = 100   // projects of one user
	MaxProjects    = 100   // that one user made

	// MaxOpenProjects is MaxProjects in an open mesh: every peer keeps the list
	// of accounts, and there whoever joins has an account for nothing.
	MaxOpenProjects = 3
)

// Member returns the membership of a user in a project.
func (s *State) Member(project, account AccountName) (Membership, bool) {
	return s.members.get(Key{A: string(project), B: string(account)})
}

// Members iterates over the members of a project by name.
func (s *State) Members(project AccountName) iter.Seq[Membership] {
	return values(s.members.within(string(project)))
}

// Projects iterates over the memberships of a user by project.
func (s *State) Projects(account AccountName) iter.Seq[Membership] {
	return func(yield func(Membership) bool) {
		for k := range s.memberOf.From(Key{A: string(account)}) {
			if k.A != string(account) {
				return
			}
			if m, ok := s.Member(AccountName(k.B), account); ok && !yield(m) {
				return
			}
		}
	}
}

func count[V any](seq iter.Seq[V]) (n int) {
	for range seq {
		n++
	}
	return n
}

// checkNewAccount refuses a name that an account cannot have: those of
// strangers' accounts begin like that of a peer, and "all" is everybody.
func (s *State) checkNewAccount(what string, name AccountName) error {
	if err := checkWord(what, string(name), MaxName); err != nil {
		return err
	}
	switch a, taken := s.Account(name); {
	case len(name) >= len(strangerPrefix) && name[:len(strangerPrefix)] == strangerPrefix, name == "all", name == "none":
		return refuse(ErrInvalid, "%s %s: the name is reserved: choose another", what, name)
	case taken && !a.Deleted.IsZero():
		return refuse(ErrConflict, "%s %s: a project of that name was deleted and its bills are still kept: choose another", what, name)
	case taken:
		return refuse(ErrConflict, "%s %s: there is an account of that name: choose another", what, name)
	case s.accounts.len() >= MaxAccounts:
		return refuse(ErrExhausted, "%s %s: the mesh has %d accounts already", what, name, MaxAccounts)
	}
	return nil
}

// strangerPrefix begins the names of the accounts that an open mesh opens.
const strangerPrefix = "peer-"

// peopled refuses commands about users and projects on a mesh whose rules do
// not know them.
func (s *State) peopled(what string) error {
	if s.knowsProjects() {
		return nil
	}
	m, _ := s.Mesh()
	return refuse(ErrUnavailable, "%s: this mesh follows rules %d, which know no projects: all voters must be upgraded first", what, m.Rules)
}
