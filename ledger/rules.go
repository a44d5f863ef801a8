package ledger

import "github.com/slapmesh/slapmesh/ledger/placement"

// The versions of the rules that decisions follow. The leader raises them once
// every voter and standby knows them: see [RaiseRules].
//
// A command that is new, or that carries a field which older programs do not
// know, says so with a method rules: who leads does not propose it, and
// nobody decides it, before the mesh follows these rules. A decision that
// changes for what was there before asks [State.follows].
const (
	// RulesOfMoney is the first rules version that knows of money, and of how
	// large a computer is.
	RulesOfMoney = 2

	// RulesOfProjects is the first rules version that knows of projects, of
	// trees and shared instances, of what an instance needs, and of the journal.
	RulesOfProjects = 3

	// RulesOfGroups is the version of the coming release: what is added until
	// then is known from it on.
	RulesOfGroups = 4

	// CurrentRules is the newest rules version that this program knows. Before
	// it is raised: make fixture.
	CurrentRules = RulesOfGroups
)

// follows reports whether decisions follow that version of the rules, or a
// newer one.
func (s *State) follows(rules uint64) bool {
	m, _ := s.Mesh()
	return m.Rules >= rules
}

// bills reports whether the mesh follows rules that know of money.
func (s *State) bills() bool { return s.follows(RulesOfMoney) }

// knowsProjects reports whether the mesh follows rules that know of projects.
func (s *State) knowsProjects() bool { return s.follows(RulesOfProjects) }

// rulesOf returns the first rules version that knows c.
func rulesOf(c Command) uint64 {
	if newer, ok := c.(interface{ rules() uint64 }); ok {
		return newer.rules()
	}
	return 1
}

// Proposable refuses a command that a voter of the mesh may be too old to
// read: what it cannot read stops it. Who leads asks before it orders one.
func (s *State) Proposable(c Command) error {
	if mesh, founded := s.Mesh(); founded && rulesOf(c) > mesh.Rules {
		return refuse(ErrUnavailable, "%s: this needs rules %d and the mesh follows %d: all voters must be upgraded first", c.Kind(), rulesOf(c), mesh.Rules)
	}
	return nil
}

// decidable is Proposable for decisions. What came with rules 3 or before
// looks at the rules itself.
func (s *State) decidable(c Command) error {
	if rulesOf(c) < RulesOfGroups {
		return nil
	}
	return s.Proposable(c)
}

func (c SetPrice) rules() uint64 {
	if c.Places {
		return RulesOfGroups
	}
	return RulesOfMoney
}

func (Pay) rules() uint64         { return RulesOfMoney }
func (SetLimit) rules() uint64    { return RulesOfMoney }
func (SetTerms) rules() uint64    { return RulesOfMoney }
func (StopShort) rules() uint64   { return RulesOfMoney }
func (ReportUsage) rules() uint64 { return RulesOfMoney }

func (Rename) rules() uint64  { return RulesOfProjects }
func (Bang) rules() uint64    { return RulesOfProjects }
func (EndKept) rules() uint64 { return RulesOfProjects }

func (c Move) rules() uint64 {
	if c.Data {
		return RulesOfGroups
	}
	return RulesOfProjects
}

func (c SetState) rules() uint64 {
	if c.Keep != nil {
		return RulesOfProjects
	}
	return 1
}

func (c Request) rules() uint64 {
	if c.Needs.Bandwidth != 0 {
		return RulesOfGroups
	}
	if c.Needs != (Needs{}) || !c.Affinity.IsZero() || c.MaxPrice != 0 || c.ReplaceNeeds || c.Parent != 0 || c.Scope != "" || c.Keep != nil || c.Policy == placement.Cheapest {
		return RulesOfProjects
	}
	if c.Where != "" || c.Policy != "" {
		return RulesOfMoney
	}
	return 1
}

func (c Offer) rules() uint64 {
	if c.Bandwidth != 0 {
		return RulesOfGroups
	}
	if c.Cores != 0 || c.Memory != 0 || c.Disk != 0 {
		return RulesOfMoney
	}
	return 1
}

func (CreateProject) rules() uint64  { return RulesOfProjects }
func (SetMember) rules() uint64      { return RulesOfProjects }
func (RemoveMember) rules() uint64   { return RulesOfProjects }
func (DeleteProject) rules() uint64  { return RulesOfProjects }
func (CreateUser) rules() uint64     { return RulesOfProjects }
func (DisableAccount) rules() uint64 { return RulesOfProjects }
func (SetOperator) rules() uint64    { return RulesOfProjects }

func (c ReviewBill) rules() uint64 {
	if !c.From.IsZero() {
		return RulesOfGroups
	}
	return RulesOfMoney
}

func (c SetQuota) rules() uint64 {
	if c.Quota.Bandwidth != nil {
		return RulesOfGroups
	}
	return RulesOfProjects
}

func (c CreateToken) rules() uint64 {
	if len(c.Scopes) > 0 || c.Project != "" {
		return RulesOfProjects
	}
	return 1
}

func (c Publish) rules() uint64 {
	if c.Account != "" {
		return RulesOfProjects
	}
	return 1
}

func (SetComputer) rules() uint64    { return RulesOfProjects }
func (DrainComputer) rules() uint64  { return RulesOfProjects }
func (RetireComputer) rules() uint64 { return RulesOfProjects }
func (GiveComputer) rules() uint64   { return RulesOfProjects }
