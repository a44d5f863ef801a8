package ledger

import (
	"cmp"
	"slices"
)

// CreateProject makes a project, whose first owner is the caller's account
// or, if an operator names one, another.
type CreateProject struct {
	Name  AccountName `cbor:"1,keyasint"`
	Owner AccountName `cbor:"2,keyasint,omitempty"`
}

// Kind returns "create-project".
func (CreateProject) Kind() string { return "create-project" }

func (c CreateProject) decide(s *State, x Context) ([]Event, error) {
	if err := s.peopled("project"); err != nil {
		return nil, err
	}
	if err := x.Principal.may(RightAdmin); err != nil {
		return nil, err
	}
	owner := c.Owner
	if owner == "" {
		owner = x.Principal.Account
	}
	if owner != x.Principal.Account && !x.Principal.Operator {
		return nil, refuse(ErrForbidden, "project %.80q: only an operator makes one for somebody else", string(c.Name))
	}
	if err := s.checkUser("project", owner); err != nil {
		return nil, err
	}
	if a, ok := s.Account(c.Name); ok && a.Project() && a.CreatedBy == owner {
		return nil, nil // a retry
	}
	if err := s.checkNewAccount("project", c.Name); err != nil {
		return nil, err
	}
	mesh, _ := s.Mesh()
	most := int64(MaxProjects)
	if mesh.Open {
		most = MaxOpenProjects
	}
	switch made := s.Tally(owner).Projects; {
	case made >= most && !x.Principal.Operator:
		return nil, refuse(ErrExhausted, "project %s: %s made %d already, the most of one account in this mesh: delete one, or ask an operator to make it (slapd project create %s --owner %s)", c.Name, owner, made, c.Name, owner)
	case s.memberships(owner) >= MaxMemberships:
		return nil, refuse(ErrExhausted, "project %s: %s belongs to %d already: leave one first", c.Name, owner, MaxMemberships)
	}
	return []Event{ProjectCreated{
		Account{Name: c.Name, Kind: KindProject, Created: x.At, CreatedBy: owner},
		Membership{c.Name, owner, RoleOwner, x.At},
	}}, nil
}

// memberships counts the projects of a user.
func (s *State) memberships(account AccountName) int { return count(s.Projects(account)) }

// checkUser refuses the name of what is no user.
func (s *State) checkUser(what string, name AccountName) error {
	switch a, ok := s.Account(name); {
	case !ok:
		return refuse(ErrNotFound, "%s: account %.80q is not known", what, string(name))
	case a.Kind != KindUser:
		return refuse(ErrInvalid, "%s: %s is a project, and a user is expected", what, name)
	}
	return nil
}

// checkProject refuses the name of what is no project.
func (s *State) checkProject(name AccountName) (Account, error) {
	a, ok := s.Account(name)
	if !ok || !a.Project() {
		return a, refuse(ErrNotFound, "project %.80q is not known", string(name))
	}
	return a, nil
}

// SetMember makes a user a member of a project, or gives it another role
// there. Owners and operators do.
type SetMember struct {
	Project AccountName `cbor:"1,keyasint"`
	Account AccountName `cbor:"2,keyasint"`
	Role    MemberRole  `cbor:"3,keyasint"`
}

// Kind returns "set-member".
func (SetMember) Kind() string { return "set-member" }

func (c SetMember) decide(s *State, x Context) ([]Event, error) {
	if err := s.peopled("member"); err != nil {
		return nil, err
	}
	if _, err := s.ActFor(x.Principal, c.Project, RightAdmin); err != nil {
		return nil, err
	}
	if _, err := s.checkProject(c.Project); err != nil {
		return nil, err
	}
	if err := s.checkUser("member of "+string(c.Project), c.Account); err != nil {
		return nil, err
	}
	was, member := s.Member(c.Project, c.Account)
	switch {
	case c.Role.Rights() == 0:
		return nil, refuse(ErrInvalid, "member of %s: role %.40q: owner, developer or viewer expected", c.Project, string(c.Role))
	case member && was.Role == c.Role:
		return nil, nil
	case member && s.lastOwner(was):
		return nil, s.refuseLastOwner(was)
	case !member && count(s.Members(c.Project)) >= MaxMembers:
		return nil, refuse(ErrExhausted, "member of %s: it has %d already: remove some", c.Project, MaxMembers)
	case !member && s.memberships(c.Account) >= MaxMemberships:
		return nil, refuse(ErrExhausted, "member of %s: %s belongs to %d projects already: it must leave one first", c.Project, c.Account, MaxMemberships)
	}
	return []Event{MemberSet{Membership{c.Project, c.Account, c.Role, x.At}}}, nil
}

// lastOwner reports whether m is the only owner of its project.
func (s *State) lastOwner(m Membership) bool {
	return m.Role == RoleOwner && !slices.ContainsFunc(collect(s.Members(m.Project)), func(o Membership) bool {
		return o.Role == RoleOwner && o.Account != m.Account
	})
}

func (s *State) refuseLastOwner(m Membership) error {
	return refuse(ErrConflict, "member of %s: %s is its last owner: make another one first (slapd project add %s NAME --role owner), or delete the project", m.Project, m.Account, m.Project)
}

// RemoveMember takes a user out of a project. Owners and operators do, and
// whoever leaves.
type RemoveMember struct {
	Project AccountName `cbor:"1,keyasint"`
	Account AccountName `cbor:"2,keyasint,omitempty"` // the caller's if empty
}

// Kind returns "remove-member".
func (RemoveMember) Kind() string { return "remove-member" }

func (c RemoveMember) decide(s *State, x Context) ([]Event, error) {
	if err := s.peopled("member"); err != nil {
		return nil, err
	}
	account := c.Account
	if account == "" {
		account = x.Principal.Account
	}
	if err := cmp.Or(checkWord("project", string(c.Project), MaxName), checkWord("member", string(account), MaxName)); err != nil {
		return nil, err
	}
	was, member := s.Member(c.Project, account)
	if leaves := account == x.Principal.Account && x.Principal.Rights.Has(RightAdmin); !leaves {
		if _, err := s.ActFor(x.Principal, c.Project, RightAdmin); err != nil {
			return nil, err
		}
	}
	switch {
	case !member:
		return nil, nil // it is so
	case s.lastOwner(was):
		return nil, s.refuseLastOwner(was)
	}
	return []Event{MemberRemoved{was}}, nil
}

// DeleteProject ends a project that has nothing left: see [Account].
type DeleteProject struct {
	Name AccountName `cbor:"1,keyasint"`
}

// Kind returns "delete-project".
func (DeleteProject) Kind() string { return "delete-project" }

func (c DeleteProject) decide(s *State, x Context) ([]Event, error) {
	if err := s.peopled("project"); err != nil {
		return nil, err
	}
	if err := checkWord("project", string(c.Name), MaxName); err != nil {
		return nil, err
	}
	a, ok := s.Account(c.Name)
	if !ok || !a.Deleted.IsZero() {
		return nil, x.Principal.may(RightAdmin) // it is gone, perhaps by this command
	}
	if _, err := s.ActFor(x.Principal, c.Name, RightAdmin); err != nil {
		return nil, err
	}
	if a.Kind != KindProject {
		return nil, refuse(ErrInvalid, "delete %s: it is a user: disable it (slapd user disable %s)", c.Name, c.Name)
	}
	if err := s.left(c.Name); err != nil {
		return nil, err
	}
	a.Deleted = x.At
	return []Event{ProjectDeleted{a}}, nil
}

// left refuses to delete a project that has something left.
func (s *State) left(project AccountName) error {
	t := s.Tally(project)
	for i := range s.Instances(project) {
		if !i.Settled() {
			return refuse(ErrConflict, "delete project %s: it has %d instances, %s for one: destroy them first (slapd destroy %s --account %s) and wait until they are gone", project, t.Instances, i.Reference, i.Reference, project)
		}
	}
	for p := range s.Peers() {
		if p.Account == project && !p.Revoked {
			return refuse(ErrConflict, "delete project %s: it owns computers, %s for one: have them leave first (slapd members remove %s)", project, p.Name, p.ID)
		}
	}
	if t.Instances > 0 || t.Computers > 0 {
		return refuse(ErrConflict, "delete project %s: it has %d instances and %d computers: end them first", project, t.Instances, t.Computers)
	}
	for _, n := range s.namings.all() {
		if n.Publisher == project {
			return refuse(ErrConflict, "delete project %s: it publishes the release %s: unpublish it first", project, n.Name)
		}
	}
	switch w := s.Wallet(project); {
	case w.Balance > 0:
		return refuse(ErrConflict, "delete project %s: its balance is %s: pay it out first (slapd pay ACCOUNT %s --from %s)", project, w.Balance, w.Balance, project)
	case w.Balance < 0 || w.Reserved != 0:
		return refuse(ErrConflict, "delete project %s: its balance is %s: pay what it owes first (slapd pay %s %s)", project, w.Balance, project, -w.Balance)
	}
	return nil
}
