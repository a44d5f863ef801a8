package protocoltest

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/slapmesh/slapmesh/protocol"
)

// A register is the users and projects of a Mesh.
type register struct {
	users    map[string]protocol.User
	projects map[string]protocol.Project
}

func newRegister() register {
	return register{users: map[string]protocol.User{}, projects: map[string]protocol.Project{}}
}

// know makes a user.
func (r *register) know(user protocol.User) {
	if _, ok := r.users[user.Account]; !ok {
		r.users[user.Account] = user
	}
}

func (c *caller) onlyOperators(what string) error {
	if !c.operator {
		return protocol.Errorf(protocol.ErrForbidden, "%s: operators only", what)
	}
	return nil
}

// roleIn is the caller's in a project.
func (c *caller) roleIn(p protocol.Project) string {
	for _, m := range p.Members {
		if m.Account == c.account {
			return m.Role
		}
	}
	return ""
}

// project finds a project that the caller may look at, or change.
func (c *caller) project(name string, change bool) (protocol.Project, error) {
	p, ok := c.register.projects[name]
	p.Role = c.roleIn(p)
	switch {
	case !ok, p.Role == "" && !c.operator:
		return p, protocol.Errorf(protocol.ErrNotFound, "project %s: not known to you", name)
	case change && p.Role != protocol.ProjectOwner && !c.operator:
		return p, protocol.Errorf(protocol.ErrForbidden, "project %s: this takes an owner", name)
	}
	return p, nil
}

// Users implements [protocol.Accounts].
func (c *caller) Users(context.Context) ([]protocol.User, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := []protocol.User{}
	for _, name := range slices.Sorted(maps.Keys(c.register.users)) {
		if c.operator || name == c.account {
			out = append(out, c.register.users[name])
		}
	}
	return out, nil
}

// AddUser implements [protocol.Accounts].
func (c *caller) AddUser(_ context.Context, in protocol.UserInput) (protocol.User, error) {
	if err := cmp.Or(in.Check(), c.onlyOperators("user "+in.Account)); err != nil {
		return protocol.User{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.register.know(protocol.User{Account: in.Account, Created: c.Now})
	c.till.known[in.Account] = true
	return c.register.users[in.Account], nil
}

// SetUser implements [protocol.Accounts].
func (c *caller) SetUser(_ context.Context, name string, in protocol.UserChange) (protocol.User, error) {
	if err := c.onlyOperators("user " + name); err != nil {
		return protocol.User{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	u, ok := c.register.users[name]
	if !ok {
		return u, protocol.Errorf(protocol.ErrNotFound, "user %s: not known", name)
	}
	if in.Operator != nil {
		u.Operator = *in.Operator
	}
	if in.Disabled != nil {
		u.Disabled = *in.Disabled
	}
	c.register.users[name] = u
	return u, nil
}

// Projects implements [protocol.Accounts].
func (c *caller) Projects(context.Context) ([]protocol.Project, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := []protocol.Project{}
	for _, name := range slices.Sorted(maps.Keys(c.register.projects)) {
		if p, err := c.project(name, false); err == nil {
			out = append(out, p)
		}
	}
	return out, nil
}

// Project implements [protocol.Accounts].
func (c *caller) Project(_ context.Context, name string) (protocol.Project, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.project(name, false)
}

// CreateProject implements [protocol.Accounts].
func (c *caller) CreateProject(_ context.Context, in protocol.ProjectInput) (protocol.Project, error) {
	if err := in.Check(); err != nil {
		return protocol.Project{}, err
	}
	owner := cmp.Or(in.Owner, c.account)
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.register.projects[in.Project]; ok && p.CreatedBy != owner || !ok && c.till.known[in.Project] {
		return p, protocol.Errorf(protocol.ErrConflict, "project %s: there is an account of that name: choose another", in.Project)
	} else if !ok {
		c.till.known[in.Project] = true
		c.register.projects[in.Project] = protocol.Project{
			Project: in.Project, Created: c.Now, CreatedBy: owner,
			Members: []protocol.ProjectMember{{Account: owner, Role: protocol.ProjectOwner, Since: c.Now}},
		}
	}
	p := c.register.projects[in.Project]
	p.Role = c.roleIn(p)
	return p, nil
}

// SetProjectMember implements [protocol.Accounts].
func (c *caller) SetProjectMember(_ context.Context, project, account string, in protocol.ProjectMemberInput) (protocol.Project, error) {
	if err := in.Check(); err != nil {
		return protocol.Project{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.project(project, true)
	if err != nil {
		return p, err
	}
	if _, ok := c.register.users[account]; !ok {
		return p, protocol.Errorf(protocol.ErrNotFound, "member of %s: account %s is not known", project, account)
	}
	p.Members = slices.DeleteFunc(slices.Clone(p.Members), func(m protocol.ProjectMember) bool { return m.Account == account })
	p.Members = append(p.Members, protocol.ProjectMember{Account: account, Role: in.Role, Since: c.Now})
	slices.SortFunc(p.Members, func(a, b protocol.ProjectMember) int { return cmp.Compare(a.Account, b.Account) })
	return p, c.keep(p)
}

// keep stores a project that still has an owner.
func (c *caller) keep(p protocol.Project) error {
	if !slices.ContainsFunc(p.Members, func(m protocol.ProjectMember) bool { return m.Role == protocol.ProjectOwner }) {
		return protocol.Errorf(protocol.ErrConflict, "member of %s: that is its last owner: make another one first", p.Project)
	}
	c.register.projects[p.Project] = p
	return nil
}

// RemoveProjectMember implements [protocol.Accounts].
func (c *caller) RemoveProjectMember(_ context.Context, project, account string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.project(project, account != c.account)
	if err != nil {
		return err
	}
	p.Members = slices.DeleteFunc(slices.Clone(p.Members), func(m protocol.ProjectMember) bool { return m.Account == account })
	return c.keep(p)
}

// SetQuota implements [protocol.Accounts].
func (c *caller) SetQuota(_ context.Context, account string, in protocol.QuotaInput) (protocol.Quota, error) {
	if err := cmp.Or(in.Check(), c.onlyOperators("quota of "+account)); err != nil {
		return protocol.Quota{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.till.exists(account); err != nil {
		return protocol.Quota{}, err
	}
	p, u := c.register.projects[account], c.register.users[account]
	q := p.Quota
	if p.Project == "" {
		q = u.Quota
	}
	for _, f := range []struct {
		to **int64
		in *int64
	}{
		{&q.Instances, in.Instances},
		{&q.Computers, in.Computers},
		{&q.Tokens, in.Tokens},
		{&q.Millicores, in.Millicores},
		{&q.Memory, in.Memory},
		{&q.Disk, in.Disk},
		{&q.Bandwidth, in.Bandwidth},
	} {
		switch {
		case f.in == nil:
		case *f.in < 0:
			*f.to = nil
		default:
			*f.to = f.in
		}
	}
	if p.Project != "" {
		p.Quota = q
		c.register.projects[account] = p
	} else {
		u.Quota = q
		c.register.users[account] = u
	}
	return q, nil
}

// DeleteProject implements [protocol.Accounts].
func (c *caller) DeleteProject(_ context.Context, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.project(name, true); err != nil {
		return err
	}
	for ref := range c.instances {
		if ref.Account == name {
			return protocol.Errorf(protocol.ErrConflict, "delete project %s: it has instances, %s for one: destroy them first", name, ref.Reference)
		}
	}
	delete(c.register.projects, name)
	delete(c.till.known, name)
	return nil
}

// whoami is who asks.
func (c *caller) whoami() protocol.Whoami {
	out := protocol.Whoami{Account: c.account, Operator: c.operator, Rights: []string{"read", "instances", "money", "admin"}}
	for _, name := range slices.Sorted(maps.Keys(c.register.projects)) {
		if role := c.roleIn(c.register.projects[name]); role != "" {
			out.Projects = append(out.Projects, protocol.OwnProject{Project: name, Role: role})
		}
	}
	return out
}
