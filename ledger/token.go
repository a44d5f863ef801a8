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
}

// Kind returns "create-token".
func (CreateToken) Kind() string { return "create-token" }

const maxTokenUses = 1_000_000

func (c CreateToken) decide(s *State, x Context) ([]Event, error) {
	account, err := x.Principal.account(c.Account)
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
		events = append(events, AccountOpened{Account{Name: account, Created: x.At}})
	}
	alive := 0
	for t := range s.Tokens(account) {
		if alive++; x.At.After(t.Expires.Add(keptTokenDays * 24 * time.Hour)) {
			alive--
			events = append(events, TokenForgotten{t})
		}
	}
	if alive >= MaxTokens {
		return nil, refuse(ErrExhausted, "token: account %s has %d already: revoke some (slapd token revoke ID)", account, alive)
	}
	return append(events, TokenCreated{Token{
		ID: c.ID, Digest: c.Digest, Role: c.Role, Uses: c.Uses, Expires: c.Expires.UTC(),
		Account: account, CreatedBy: x.Principal.Account, Created: x.At,
	}}), nil
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
	switch {
	case !ok, !x.Principal.Operator && token.Account != x.Principal.Account:
		return nil, refuse(ErrNotFound, "token %s is not known", c.ID) // whether it exists is not told
	case token.Revoked:
		return nil, nil
	}
	token.Revoked = true
	return []Event{TokenRevoked{token}}, nil
}
