package protocol

import "time"

// TokenScopes are what the bearer of a user token may be allowed.
var TokenScopes = []string{"read", "instances", "money", "admin"}

// A TokenInput says what a token is good for.
type TokenInput struct {
	Role    Role   `json:"role,omitempty" enum:"voter,computer,user" doc:"voter in a private mesh, computer in an open one, if not given"`
	Uses    int    `json:"uses,omitempty" minimum:"0" maximum:"100000" doc:"how many peers it may admit; 1, if not given"`
	TTL     string `json:"ttl,omitempty" maxLength:"32" doc:"a duration such as 1h or 7d; 1h, if not given"`
	Account string `json:"account,omitempty" maxLength:"64" doc:"made if new; the caller's own, if not given"`

	Scopes  []string `json:"scopes,omitempty" maxItems:"4" enum:"read,instances,money,admin" doc:"what the bearer of a user token may do; all that its account may, if not given; each brings read along"`
	Project string   `json:"project,omitempty" maxLength:"64" doc:"the project for which the bearer of a user token acts, and for nothing else"`
}

// A Token admits peers, or callers of the API when its role is user.
type Token struct {
	ID      string    `json:"id"`
	Token   string    `json:"token,omitempty" doc:"the secret: shown once, when it is made"`
	Role    Role      `json:"role" enum:"voter,computer,user"`
	Account string    `json:"account"`
	Uses    int       `json:"uses" doc:"uses left"`
	Expires time.Time `json:"expires"`
	Created time.Time `json:"created"`
	Revoked bool      `json:"revoked,omitempty"`
	Scopes  []string  `json:"scopes" doc:"what its bearer may do; all that its account may, if there are none"`
	Project string    `json:"project,omitempty" doc:"the project for which its bearer acts, and for nothing else"`
	Join    string    `json:"join,omitempty" doc:"the line to type on the next computer"`

	UsedBy []TokenUse `json:"used_by" doc:"the members that it admitted last, as far as they did not leave"`
}

// A TokenUse is a peer that a token admitted.
type TokenUse struct {
	PeerID string    `json:"peer_id"`
	Name   string    `json:"name"`
	At     time.Time `json:"at"`
}
