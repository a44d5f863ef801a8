package daemon

import (
	"context"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/protocol"
)

// whoami says who asks.
func (s *service) whoami(v *ledger.State) protocol.Whoami {
	p, err := s.who(v)
	if err != nil {
		return protocol.Whoami{}
	}
	return protocol.Whoami{
		Account: string(p.Account), Operator: p.Operator, Rights: p.Rights.Names(), Token: string(p.Token),
		Projects: wireProjects(v, p.Account),
	}
}

func wireProjects(v *ledger.State, account ledger.AccountName) []protocol.OwnProject {
	out := []protocol.OwnProject{}
	for m := range v.Projects(account) {
		out = append(out, protocol.OwnProject{Project: string(m.Project), Role: string(m.Role)})
	}
	return out
}

// Users implements [protocol.Accounts].
func (s *service) Users(context.Context) ([]protocol.User, error) {
	v := s.books.View()
	p, err := s.who(v)
	if err != nil {
		return nil, err
	}
	out := []protocol.User{}
	for a := range v.Accounts() {
		if a.Kind == ledger.KindUser && (p.Operator || a.Name == p.Account) {
			out = append(out, s.wireUser(v, a))
		}
	}
	return out, nil
}

func (s *service) wireUser(v *ledger.State, a ledger.Account) protocol.User {
	return protocol.User{
		Account: string(a.Name), Operator: a.Operator, Disabled: a.Disabled, Created: a.Created,
		Projects: wireProjects(v, a.Name), Quota: wireQuota(a.Quota), Used: s.holdings(v, a.Name),
	}
}

// holdings are what an account has, as far as this peer knows.
func (s *service) holdings(v *ledger.State, account ledger.AccountName) protocol.Holdings {
	t := v.Tally(account)
	out := protocol.Holdings{
		Instances: t.Instances, Computers: t.Computers,
		Millicores: t.Needs.Cores, Memory: t.Needs.Memory, Disk: t.Needs.Disk, Bandwidth: t.Needs.Bandwidth,
	}
	for t := range v.Tokens(account) {
		if !t.Dead(s.cfg.Clock()) {
			out.Tokens++
		}
	}
	return out
}

// user returns one user, for who has just changed it.
func (s *service) user(v *ledger.State, name string) (protocol.User, error) {
	a, ok := v.Account(ledger.AccountName(name))
	if !ok {
		return protocol.User{}, protocol.Errorf(protocol.ErrNotFound, "user %s: not known: see slapd user list", name)
	}
	return s.wireUser(v, a), nil
}

// AddUser implements [protocol.Accounts].
func (s *service) AddUser(ctx context.Context, in protocol.UserInput) (protocol.User, error) {
	v, err := s.propose(ctx, ledger.CreateUser{Name: ledger.AccountName(in.Account)})
	if err != nil {
		return protocol.User{}, err
	}
	return s.user(v, in.Account)
}

// SetUser implements [protocol.Accounts].
func (s *service) SetUser(ctx context.Context, name string, in protocol.UserChange) (protocol.User, error) {
	v, account := s.books.View(), ledger.AccountName(name)
	if err := s.operator(v, "user "+name); err != nil {
		return protocol.User{}, err
	}
	var err error
	if in.Disabled != nil {
		if v, err = s.propose(ctx, ledger.DisableAccount{Account: account, Disabled: *in.Disabled}); err != nil {
			return protocol.User{}, err
		}
	}
	if in.Operator != nil {
		if v, err = s.propose(ctx, ledger.SetOperator{Account: account, Operator: *in.Operator}); err != nil {
			return protocol.User{}, err
		}
	}
	return s.user(v, name)
}

// Projects implements [protocol.Accounts].
func (s *service) Projects(context.Context) ([]protocol.Project, error) {
	v := s.books.View()
	p, err := s.who(v)
	if err != nil {
		return nil, err
	}
	out := []protocol.Project{}
	for a := range v.Accounts() {
		if a.Project() && s.may(v, a.Name, ledger.RightRead) {
			out = append(out, s.wireProject(v, p, a))
		}
	}
	return out, nil
}

// Project implements [protocol.Accounts].
func (s *service) Project(_ context.Context, name string) (protocol.Project, error) {
	v := s.books.View()
	p, a, err := s.project(v, name)
	if err != nil {
		return protocol.Project{}, err
	}
	return s.wireProject(v, p, a), nil
}

// project finds a project that the caller may look at. Whether there is
// another is not told.
func (s *service) project(v *ledger.State, name string) (ledger.Principal, ledger.Account, error) {
	p, err := s.who(v)
	if err != nil {
		return p, ledger.Account{}, err
	}
	a, ok := v.Account(ledger.AccountName(name))
	if !ok || !a.Project() || !s.may(v, a.Name, ledger.RightRead) {
		return p, a, protocol.Errorf(protocol.ErrNotFound, "project %s: not known to you: see slapd project list", name)
	}
	return p, a, nil
}

func (s *service) wireProject(v *ledger.State, p ledger.Principal, a ledger.Account) protocol.Project {
	own, _ := v.Member(a.Name, p.Account)
	out := protocol.Project{
		Project: string(a.Name), Role: string(own.Role), Created: a.Created, CreatedBy: string(a.CreatedBy), Disabled: a.Disabled,
		Members: []protocol.ProjectMember{}, Quota: wireQuota(a.Quota), Used: s.holdings(v, a.Name),
	}
	for m := range v.Members(a.Name) {
		out.Members = append(out.Members, protocol.ProjectMember{Account: string(m.Account), Role: string(m.Role), Since: m.Since})
	}
	return out
}

// CreateProject implements [protocol.Accounts].
func (s *service) CreateProject(ctx context.Context, in protocol.ProjectInput) (protocol.Project, error) {
	v, err := s.propose(ctx, ledger.CreateProject{Name: ledger.AccountName(in.Project), Owner: ledger.AccountName(in.Owner)})
	if err != nil {
		return protocol.Project{}, err
	}
	return s.changed(v, in.Project)
}

// changed returns a project that the caller has just changed, whatever it may
// see of it now.
func (s *service) changed(v *ledger.State, name string) (protocol.Project, error) {
	p, err := s.who(v)
	if err != nil {
		return protocol.Project{}, err
	}
	a, _ := v.Account(ledger.AccountName(name))
	return s.wireProject(v, p, a), nil
}

// SetProjectMember implements [protocol.Accounts].
func (s *service) SetProjectMember(ctx context.Context, project, account string, in protocol.ProjectMemberInput) (protocol.Project, error) {
	v, err := s.propose(ctx, ledger.SetMember{
		Project: ledger.AccountName(project), Account: ledger.AccountName(account), Role: ledger.MemberRole(in.Role),
	})
	if err != nil {
		return protocol.Project{}, err
	}
	return s.changed(v, project)
}

// RemoveProjectMember implements [protocol.Accounts].
func (s *service) RemoveProjectMember(ctx context.Context, project, account string) error {
	_, err := s.propose(ctx, ledger.RemoveMember{Project: ledger.AccountName(project), Account: ledger.AccountName(account)})
	return err
}

// DeleteProject implements [protocol.Accounts].
func (s *service) DeleteProject(ctx context.Context, name string) error {
	if _, _, err := s.project(s.books.View(), name); err != nil {
		return err // the ledger takes one that is not there for one that was deleted
	}
	_, err := s.propose(ctx, ledger.DeleteProject{Name: ledger.AccountName(name)})
	return err
}

// SetQuota implements [protocol.Accounts].
func (s *service) SetQuota(ctx context.Context, account string, in protocol.QuotaInput) (protocol.Quota, error) {
	v, err := s.propose(ctx, ledger.SetQuota{Account: ledger.AccountName(account), Quota: ledger.Quota{
		Instances: in.Instances, Computers: in.Computers, Tokens: in.Tokens,
		Cores: in.Millicores, Memory: in.Memory, Disk: in.Disk, Bandwidth: in.Bandwidth,
	}})
	if err != nil {
		return protocol.Quota{}, err
	}
	a, _ := v.Account(ledger.AccountName(account))
	return wireQuota(a.Quota), nil
}

func wireQuota(q ledger.Quota) protocol.Quota {
	return protocol.Quota{
		Instances: q.Instances, Computers: q.Computers, Tokens: q.Tokens, Millicores: q.Cores, Memory: q.Memory, Disk: q.Disk, Bandwidth: q.Bandwidth,
	}
}
