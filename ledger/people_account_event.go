package ledger

import (
	"fmt"
	"strings"
)

// ProjectCreated says that a project exists.
type ProjectCreated struct {
	Account Account
	Owner   Membership
}

func (e ProjectCreated) String() string {
	return fmt.Sprintf("created project %s of %s", e.Account.Name, e.Owner.Account)
}

func (e ProjectCreated) kind() string { return "project-created" }

func (e ProjectCreated) about() subject { return subject{account: e.Account.Name} }

func (e ProjectCreated) evolve(s *State) {
	s.setAccount(e.Account)
	s.setMember(e.Owner)
}

// MemberSet says that a user belongs to a project, as what.
type MemberSet struct{ Member Membership }

func (e MemberSet) String() string {
	return fmt.Sprintf("made %s a %s of project %s", e.Member.Account, e.Member.Role, e.Member.Project)
}

func (e MemberSet) kind() string { return "member-set" }

func (e MemberSet) about() subject { return subject{account: e.Member.Project} }

func (e MemberSet) evolve(s *State) { s.setMember(e.Member) }

// MemberRemoved says that a user does not belong to a project any more.
type MemberRemoved struct{ Member Membership }

func (e MemberRemoved) String() string {
	return fmt.Sprintf("removed %s from project %s", e.Member.Account, e.Member.Project)
}

func (e MemberRemoved) kind() string { return "member-removed" }

func (e MemberRemoved) about() subject { return subject{account: e.Member.Project} }

func (e MemberRemoved) evolve(s *State) { s.dropMember(e.Member.Project, e.Member.Account) }

// ProjectDeleted says that a project is no more. Its account stays until the
// last of its bills is forgotten.
type ProjectDeleted struct{ Account Account }

func (e ProjectDeleted) String() string { return "deleted project " + string(e.Account.Name) }

func (e ProjectDeleted) kind() string { return "project-deleted" }

func (e ProjectDeleted) about() subject { return subject{account: e.Account.Name} }

func (e ProjectDeleted) evolve(s *State) {
	name := e.Account.Name
	for _, t := range collect(s.Tokens(name)) {
		s.dropToken(t.ID)
	}
	for _, m := range collect(s.Members(name)) {
		s.dropMember(name, m.Account)
	}
	for _, p := range collect(values(s.prices.within(string(name)))) {
		s.dropPrice(p.key())
	}
	s.setAccount(e.Account)
	s.forgetAccount(name)
}

// forgetAccount drops a deleted project when nothing speaks of it any more:
// no bill, and no money.
func (s *State) forgetAccount(name AccountName) {
	a, ok := s.Account(name)
	if !ok || a.Deleted.IsZero() || s.Tally(name) != (Tally{}) {
		return
	}
	for range s.below(&s.earners, string(name), instanceBits) {
		return
	}
	if w := s.Wallet(name); w.Balance != 0 || w.Reserved != 0 {
		return
	}
	drop(s, &s.wallets, Key{A: string(name)})
	s.dropAccount(name)
}

// QuotaSet says what an account may have.
type QuotaSet struct{ Account Account }

func (e QuotaSet) String() string {
	var bounds []string
	for _, k := range QuotaKinds {
		if most, bounded := e.Account.Quota.Get(k); bounded {
			bounds = append(bounds, "at most "+k.amount(most))
		}
	}
	if len(bounds) == 0 {
		bounds = []string{"what it wants"}
	}
	return fmt.Sprintf("%s may have %s", e.Account.Name, strings.Join(bounds, ", "))
}

func (e QuotaSet) kind() string { return "quota-set" }

func (e QuotaSet) about() subject { return subject{account: e.Account.Name} }

func (e QuotaSet) evolve(s *State) { s.setAccount(e.Account) }

// AccountDisabled says that an account may only read from now on, or may do
// again what it could.
type AccountDisabled struct{ Account Account }

func (e AccountDisabled) String() string {
	if e.Account.Disabled {
		return "disabled " + string(e.Account.Name)
	}
	return "enabled " + string(e.Account.Name)
}

func (e AccountDisabled) kind() string { return "account-disabled" }

func (e AccountDisabled) about() subject { return subject{account: e.Account.Name} }

func (e AccountDisabled) evolve(s *State) { s.setAccount(e.Account) }

// OperatorSet says that a user has an operator's power, or no longer.
type OperatorSet struct {
	Account Account
	Peers   []Peer // that have it, or no longer, with it
}

func (e OperatorSet) String() string {
	if e.Account.Operator {
		return fmt.Sprintf("made %s an operator", e.Account.Name)
	}
	return fmt.Sprintf("%s is no operator any more", e.Account.Name)
}

func (e OperatorSet) kind() string { return "operator-set" }

func (e OperatorSet) about() subject { return subject{account: e.Account.Name} }

func (e OperatorSet) evolve(s *State) {
	s.setAccount(e.Account)
	for _, p := range e.Peers {
		s.setPeer(p)
	}
}
