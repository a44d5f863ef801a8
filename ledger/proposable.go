package ledger

import "github.com/slapmesh/slapmesh/ledger/placement"

// Proposable refuses a command that a voter of the mesh may be too old to
// read: what it cannot read stops it. Who leads asks before it orders one.
func (s *State) Proposable(c Command) error {
	mesh, founded := s.Mesh()
	newer, ok := c.(interface{ rules() uint64 })
	if !ok || !founded || newer.rules() <= mesh.Rules {
		return nil
	}
	return refuse(ErrUnavailable, "%s: this needs rules %d and the mesh follows %d: all voters must be upgraded first", c.Kind(), newer.rules(), mesh.Rules)
}

func (SetPrice) rules() uint64    { return RulesOfMoney }
func (Pay) rules() uint64         { return RulesOfMoney }
func (SetLimit) rules() uint64    { return RulesOfMoney }
func (SetTerms) rules() uint64    { return RulesOfMoney }
func (StopShort) rules() uint64   { return RulesOfMoney }
func (ReviewBill) rules() uint64  { return RulesOfMoney }
func (ReportUsage) rules() uint64 { return RulesOfMoney }

func (Rename) rules() uint64  { return RulesOfProjects }
func (Bang) rules() uint64    { return RulesOfProjects }
func (Move) rules() uint64    { return RulesOfProjects }
func (EndKept) rules() uint64 { return RulesOfProjects }

func (c SetState) rules() uint64 {
	if c.Keep != nil {
		return RulesOfProjects
	}
	return 1
}

func (c Request) rules() uint64 {
	if c.Needs != (Needs{}) || !c.Affinity.IsZero() || c.MaxPrice != 0 || c.ReplaceNeeds || c.Parent != 0 || c.Scope != "" || c.Keep != nil || c.Policy == placement.Cheapest {
		return RulesOfProjects
	}
	if c.Where != "" || c.Policy != "" {
		return RulesOfMoney
	}
	return 1
}

func (c Offer) rules() uint64 {
	if c.Cores != 0 || c.Memory != 0 || c.Disk != 0 {
		return RulesOfMoney
	}
	return 1
}

func (CreateProject) rules() uint64  { return RulesOfProjects }
func (SetMember) rules() uint64      { return RulesOfProjects }
func (RemoveMember) rules() uint64   { return RulesOfProjects }
func (DeleteProject) rules() uint64  { return RulesOfProjects }
func (SetQuota) rules() uint64       { return RulesOfProjects }
func (CreateUser) rules() uint64     { return RulesOfProjects }
func (DisableAccount) rules() uint64 { return RulesOfProjects }
func (SetOperator) rules() uint64    { return RulesOfProjects }

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
