package ledger

// CreateUser makes an account for a person. Operators do.
type CreateUser struct {
	Name AccountName `cbor:"1,keyasint"`
}

// Kind returns "create-user".
func (CreateUser) Kind() string { return "create-user" }

func (c CreateUser) decide(s *State, x Context) ([]Event, error) {
	if err := s.peopled("user"); err != nil {
		return nil, err
	}
	if !x.Principal.Operator {
		return nil, refuse(ErrForbidden, "user %.80q: only an operator adds users", string(c.Name))
	}
	if a, ok := s.Account(c.Name); ok && a.Kind == KindUser {
		return nil, nil // it is there
	}
	if err := s.checkNewAccount("user", c.Name); err != nil {
		return nil, err
	}
	return []Event{AccountOpened{Account{Name: c.Name, Created: x.At}}}, nil
}

// DisableAccount takes from a user or a project all but reading, or gives it
// back. What runs goes on, its computers too. Operators do.
type DisableAccount struct {
	Account  AccountName `cbor:"1,keyasint"`
	Disabled bool        `cbor:"2,keyasint,omitempty"`
}

// Kind returns "disable-account".
func (DisableAccount) Kind() string { return "disable-account" }

func (c DisableAccount) decide(s *State, x Context) ([]Event, error) {
	if err := s.peopled("account"); err != nil {
		return nil, err
	}
	account, ok := s.Account(c.Account)
	switch {
	case !x.Principal.Operator:
		return nil, refuse(ErrForbidden, "account %.80q: only an operator disables and enables accounts", string(c.Account))
	case !ok || !account.Deleted.IsZero():
		return nil, refuse(ErrNotFound, "account %.80q is not known", string(c.Account))
	case account.Disabled == c.Disabled:
		return nil, nil
	case c.Disabled && s.lastOperator(account):
		return nil, refuseLastOperator(account)
	}
	account.Disabled = c.Disabled
	return []Event{AccountDisabled{account}}, nil
}

// SetOperator gives a user the power of an operator, or takes it. Operators
// do.
type SetOperator struct {
	Account  AccountName `cbor:"1,keyasint"`
	Operator bool        `cbor:"2,keyasint,omitempty"`
}

// Kind returns "set-operator".
func (SetOperator) Kind() string { return "set-operator" }

func (c SetOperator) decide(s *State, x Context) ([]Event, error) {
	if err := s.peopled("operator"); err != nil {
		return nil, err
	}
	if !x.Principal.Operator {
		return nil, refuse(ErrForbidden, "operator %.80q: only an operator makes operators", string(c.Account))
	}
	if err := s.checkUser("operator", c.Account); err != nil {
		return nil, err
	}
	account, _ := s.Account(c.Account)
	switch {
	case account.Operator == c.Operator:
		return nil, nil
	case c.Operator && account.Disabled:
		return nil, refuse(ErrConflict, "operator %s: it is disabled: enable it first (slapd user enable %s)", c.Account, c.Account)
	case !c.Operator && s.lastOperator(account):
		return nil, refuseLastOperator(account)
	}
	if account.Operator = c.Operator; c.Operator {
		account.OperatorSince = x.At
	}
	var peers []Peer
	for p := range s.Peers() {
		if p.Account != c.Account || p.Revoked {
			continue
		}
		if now := operates(account, p.Role); now != p.Operator {
			p.Operator = now
			peers = append(peers, p)
		}
	}
	return []Event{OperatorSet{account, peers}}, nil
}

// lastOperator reports whether a is the only account that can run the mesh.
func (s *State) lastOperator(a Account) bool {
	if !a.Operator || a.Disabled {
		return false
	}
	for o := range s.Accounts() {
		if o.Operator && !o.Disabled && o.Name != a.Name {
			return false
		}
	}
	return true
}

func refuseLastOperator(a Account) error {
	return refuse(ErrConflict, "%s is the last operator of the mesh: make another one first (slapd user operator NAME on)", a.Name)
}
