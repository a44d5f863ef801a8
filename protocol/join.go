package protocol

import "time"

// A JoinReport is what a computer that wants to join finds out before it does.
type JoinReport struct {
	// Tries are the addresses that were tried, all that the name has.
	Tries []JoinTry `json:"tries"`

	// Address is the one to join through, Path how it is reached:
	// direct, or tcp where UDP does not pass.
	Address string `json:"address,omitempty"`
	Path    Path   `json:"path,omitempty"`

	// Mesh is the mesh's name.
	Mesh string `json:"mesh,omitempty"`

	// ClockAhead is by how many seconds this computer's clock is ahead of the
	// mesh's.
	ClockAhead float64 `json:"clock_ahead_seconds"`

	// Local is this computer's own address towards the mesh, Observed what
	// the mesh sees, and NAT whether they differ: none, yes or unknown.
	Local    string `json:"local,omitempty"`
	Observed string `json:"observed,omitempty"`
	NAT      string `json:"nat"`

	// Kind is that of the NAT or firewall in between, in one word: unknown, none, firewall,
	// nat (of which no more is known), cone, open-cone, restricted-cone or symmetric.
	Kind string `json:"nat_kind"`

	// Reachable says whether a packet came through that this computer had not
	// asked for: yes, no or unknown.
	Reachable string `json:"reachable"`

	// Role and Account are what the invitation grants; of a token, how often it
	// can still be used and until when.
	Role    Role       `json:"role,omitempty"`
	Account string     `json:"account,omitempty"`
	Uses    int        `json:"uses,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`

	// Problem is what stands in the way, and what to do about it.
	Problem string `json:"problem,omitempty"`

	// Admitted says that this computer is a member now.
	Admitted bool `json:"admitted"`
}

// A JoinTry is one address that was tried.
type JoinTry struct {
	Address string  `json:"address"`
	Network string  `json:"network"` // udp or tcp
	Answers bool    `json:"answers"`
	Seconds float64 `json:"seconds"` // until it answered, or was given up
	Problem string  `json:"problem,omitempty"`
}
