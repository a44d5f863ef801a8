package ledger

// kin says of an owner of computers whether those of scope group take the
// instances of account: if the owner is a project that account is in, or a
// member of one, or of account, where that is a project.
func (s *State) kin(account AccountName) func(owner string) bool {
	var groups []AccountName
	if a, _ := s.Account(account); a.Project() {
		groups = []AccountName{account}
	} else {
		for k := range s.memberOf.From(Key{A: string(account)}) {
			if k.A != string(account) {
				break
			}
			groups = append(groups, AccountName(k.B))
		}
	}
	return func(owner string) bool {
		for _, group := range groups {
			if owner == string(group) {
				return true
			}
			if _, member := s.members.get(Key{A: string(group), B: owner}); member {
				return true
			}
		}
		return false
	}
}

// openScopes has computers that said nothing of their scope, or that group
// meant anyone's, go on to take anyone's. What their owners said stays, and
// means from now on what it says.
func (s *State) openScopes() {
	for _, c := range collect(s.Computers()) {
		switch {
		case c.Settings.IsZero() && c.Scope == ScopeGroup:
			c.Scope = ScopeOpen
		case !c.Settings.IsZero() && c.Settings.OfferedScope == ScopeGroup:
			if c.Settings.OfferedScope = ScopeOpen; c.Settings.Scope == "" {
				c.Scope = ScopeOpen
			}
		}
		s.setComputer(c) // for placement, if nothing else
	}
}
