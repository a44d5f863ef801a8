package ledger

import (
	"fmt"
	"strings"
)

// Rights are what a principal may do for an account.
type Rights uint8

// The rights. They are also the scopes of tokens.
const (
	RightRead      Rights = 1 << iota // look at what the account has, but not at secrets
	RightInstances                    // request, start, stop and destroy; secrets and programs; publish
	RightMoney                        // prices, payments, reviews of bills
	RightAdmin                        // tokens, members, supplies; an operator's power

	AllRights = RightRead | RightInstances | RightMoney | RightAdmin
)

// A Scope of a token is the name of a right.
var rightNames = []struct {
	right Rights
	name  string
}{{RightRead, "read"}, {RightInstances, "instances"}, {RightMoney, "money"}, {RightAdmin, "admin"}}

// Has reports whether r includes all that is needed.
func (r Rights) Has(need Rights) bool { return r&need == need }

// Names lists the rights, in a fixed order.
func (r Rights) Names() []string {
	var out []string
	for _, n := range rightNames {
		if r.Has(n.right) {
			out = append(out, n.name)
		}
	}
	return out
}

// String returns the names of the rights.
func (r Rights) String() string { return strings.Join(r.Names(), ", ") }

// ParseRights returns the rights of those names. Each of them brings reading
// along; no names are no rights.
func ParseRights(names []string) (Rights, error) {
	var out Rights
next:
	for _, name := range names {
		for _, n := range rightNames {
			if n.name == name {
				out |= n.right | RightRead
				continue next
			}
		}
		return 0, refuse(ErrInvalid, "scope %.40q: read, instances, money or admin expected", name)
	}
	return out, nil
}

// ActFor returns the account for which p acts when it names wanted, or
// refuses what p may not do for it: its own if wanted is empty; a project, as
// far as the role in it goes; another's as an operator. p has been
// recognised.
func (s *State) ActFor(p Principal, wanted AccountName, need Rights) (AccountName, error) {
	name := wanted
	if name == "" {
		name = p.Account
	}
	target, _ := s.Account(name)
	switch {
	case name == "":
		return "", refuse(ErrInvalid, "account required")
	case !p.Rights.Has(need):
		return "", p.lacks(need)
	case p.Operator:
		return name, nil
	case name != p.Account:
		if err := s.memberMay(p, name, need); err != nil {
			return "", err
		}
	}
	switch {
	case !target.Deleted.IsZero():
		return "", refuse(ErrNotFound, "project %s was deleted", name)
	case target.Disabled && need != RightRead:
		return "", refuse(ErrForbidden, "account %s is disabled: ask an operator of the mesh", name)
	}
	return name, nil
}

// memberMay refuses what the role of p in another account does not allow.
func (s *State) memberMay(p Principal, project AccountName, need Rights) error {
	m, ok := s.Member(project, p.Account)
	switch {
	case !ok:
		return refuse(ErrForbidden, "account %s: you act for %s, which does not belong to it; only an operator acts for others", project.plain(), p.Account)
	case m.Role.Rights().Has(need):
		return nil
	}
	return refuse(ErrForbidden, "project %s: %s is a %s of it, and this takes %s: ask an owner", project, p.Account, m.Role, takes(need))
}

// plain returns a name that was not checked as a refusal may show it.
func (a AccountName) plain() string {
	if len(a) > MaxName || !printable(string(a)) {
		return fmt.Sprintf("%.40q", string(a))
	}
	return string(a)
}

// takes says which roles have a right.
func takes(need Rights) string {
	if RoleDeveloper.Rights().Has(need) {
		return "a developer or an owner"
	}
	return "an owner"
}

// lacks says why p may not do what takes a right, although it is its own
// account's.
func (p Principal) lacks(need Rights) error {
	switch {
	case p.disabled:
		return refuse(ErrForbidden, "account %s is disabled, so it may read and nothing else: ask an operator of the mesh", p.Account)
	case p.Kind == PrincipalToken:
		return refuse(ErrForbidden, "%s may do no more than %s, and this takes %s: make another token", p, p.Rights, need&^p.Rights)
	}
	return refuse(ErrForbidden, "%s may not", p)
}

// may refuses what p may not do for its own account.
func (p Principal) may(need Rights) error {
	if p.Rights.Has(need) {
		return nil
	}
	return p.lacks(need)
}
