package ledger

import (
	"bytes"
	"time"
)

// CreateToken makes a token. Its creator draws the secret and keeps it: only
// the digest is proposed.
type CreateToken struct {
	ID      TokenID     `cbor:"1,keyasint"`
	Digest  []byte      `cbor:"2,keyasint"` // SHA-256 of the secret
	Role    Role        `cbor:"3,keyasint"`
	Uses    int         `cbor:"4,keyasint"` // at least 1
	Expires time.Time   `cbor:"5,keyasint"`
	Account AccountName `cbor:"6,keyasint,omitempty"` // made if it is new; the caller's if empty

	// Scopes and Project narrow what the bearer may do: see [Token].
	Scopes  []string    `cbor:"7,keyasint,omitempty"`
	Project AccountName `cbor:"8,keyasint,omitempty"`
}

// Kind returns "create-token".
func (CreateToken) Kind() string { return "create-token" }

const maxTokenUses = 1_000_000

func (c CreateToken) decide(s *State, x Context) ([]Event, error) {
	account, err := s.ActFor(x.Principal, c.Account, RightAdmin)
	if err != nil {
		return nil, err
	}
	if err := c.check(x.At); err != nil {
		return nil, err
	}
	if err := checkWord("account", string(account), MaxName); err != nil {
		return nil, err
	}
	if c.Role != RoleUser && !x.Principal.Operator {
		return nil, refuse(ErrForbidden, "token: only an operator makes tokens that admit peers; --role user makes one for asking")
	}
	if a, _ := s.Account(account); a.Operator && !x.Principal.Operator {
		return nil, refuse(ErrForbidden, "token: %s may ask for account %s but not hand that on: ask on a voter", x.Principal, account)
	}
	if err := c.narrow(s, x.Principal, account); err != nil {
		return nil, err
	}
	if old, ok := s.Token(c.ID); ok {
		if bytes.Equal(old.Digest, c.Digest) {
			return nil, nil // a retry
		}
		return nil, refuse(ErrConflict, "token %s: there is one of that id", c.ID)
	}
	if _, ok := s.TokenByDigest(c.Digest); ok {
		return nil, refuse(ErrConflict, "token %s: there is one with that secret", c.ID)
	}
	var events []Event
	if _, ok := s.Account(account); !ok {
		if s.accounts.len() >= MaxAccounts {
			return nil, refuse(ErrExhausted, "token: the mesh has %d accounts already", MaxAccounts)
		}
		if err := s.checkNewAccount("token: account", account); err != nil && s.knowsProjects() {
			return nil, err
		}
		events = append(events, AccountOpened{Account{Name: account, Created: x.At}})
	}
	alive, usable := 0, int64(0)
	for t := range s.Tokens(account) {
		if !t.Dead(x.At) {
			usable++
		}
		if alive++; x.At.After(t.Expires.Add(keptTokenDays * 24 * time.Hour)) {
			alive--
			events = append(events, TokenForgotten{t})
		}
	}
	if alive >= MaxTokens {
		return nil, refuse(ErrExhausted, "token: account %s has %d already: revoke some (slapd token revoke ID)", account, alive)
	}
	if err := s.withinQuota(account, "token", QuotaTokens, usable, 1); err != nil {
		return nil, err
	}
	scopes, _ := ParseRights(c.Scopes) // were checked
	return append(events, TokenCreated{Token{
		ID: c.ID, Digest: c.Digest, Role: c.Role, Uses: c.Uses, Expires: c.Expires.UTC(),
		Account: account, CreatedBy: x.Principal.Account, Created: x.At, Scopes: scopes.Names(), Project: c.Project,
	}}), nil
}

// narrow checks what the token is to be restricted to. Nobody makes one that
// may do more than who makes it.
func (c CreateToken) narrow(s *State, p Principal, account AccountName) error {
	rights, err := ParseRights(c.Scopes)
	switch {
	case err != nil:
		return err
	case len(c.Scopes) > len(rightNames):
		return refuse(ErrInvalid, "token %s: %d scopes, at most %d", c.ID, len(c.Scopes), len(rightNames))
	case c.Role != RoleUser && (len(c.Scopes) > 0 || c.Project != ""):
		return refuse(ErrInvalid, "token %s: scopes and a project are for tokens of the role user", c.ID)
	case len(c.Scopes) == 0:
		rights = AllRights
	}
	if !p.Rights.Has(rights) {
		return p.lacks(rights)
	}
	if a, _ := s.Account(account); !a.Deleted.IsZero() {
		return refuse(ErrConflict, "token %s: project %s was deleted and its bills are still kept", c.ID, account)
	}
	if c.Project == "" {
		return nil
	}
	if _, ok := s.Member(c.Project, account); !ok {
		return refuse(ErrNotFound, "token: %s belongs to no project %s: name the account of a member (--account)", account, c.Project.plain())
	}
	return nil
}

func (c CreateToken) check(at time.Time) error {
	if err := checkWord("token id", string(c.ID), MaxName); err != nil {
		return err
	}
	switch {
	case len(c.Digest) != digestBytes:
		return refuse(ErrInvalid, "token %s: digest of %d bytes, %d expected", c.ID, len(c.Digest), digestBytes)
	case !c.Role.valid():
		return refuse(ErrInvalid, "token %s: role %q: voter, computer or user expected", c.ID, c.Role)
	case c.Uses < 1 || c.Uses > maxTokenUses:
		return refuse(ErrInvalid, "token %s: %d uses, 1 to %d expected", c.ID, c.Uses, maxTokenUses)
	case !at.Before(c.Expires):
		return refuse(ErrInvalid, "token %s: it would have expired at %s", c.ID, c.Expires.UTC().Format(time.RFC3339))
	case c.Expires.Year() > 9999:
		return refuse(ErrInvalid, "token %s: expires in the year %d", c.ID, c.Expires.Year())
	}
	return nil
}

// RevokeToken makes a token useless from now on. Who was admitted with it
// stays.
type RevokeToken struct {
	ID TokenID `cbor:"1,keyasint"`
}

// Kind returns "revoke-token".
func (RevokeToken) Kind() string { return "revoke-token" }

func (c RevokeToken) decide(s *State, x Context) ([]Event, error) {
	token, ok := s.Token(c.ID)
	if _, err := s.ActFor(x.Principal, token.Account, RightAdmin); !ok || err != nil {
		if ok && token.Account == x.Principal.Account {
			return nil, err
		}
		return nil, refuse(ErrNotFound, "token %s is not known", c.ID) // whether it exists is not told
	}
	switch {
	case token.Revoked:
		return nil, nil
	}
	token.Revoked = true
	return []Event{TokenRevoked{token}}, nil
}
