package ledger

import (
	"fmt"
	"time"
)

// A ComputerState says whether a computer is heard of.
type ComputerState string

// The states of a computer.
const (
	ComputerOnline ComputerState = "online"
	ComputerLost   ComputerState = "lost" // silent; keeps its instances, gets no new ones
	ComputerLeft   ComputerState = "left" // for good
)

// A Scope says whose instances a computer takes.
type Scope string

// The scopes.
const (
	ScopePersonal Scope = "personal" // its owner's
	ScopeGroup    Scope = "group"    // also those of the projects that its owner is in or is, and of their members
	ScopeOpen     Scope = "open"     // anyone's, where isolation is strong enough for strangers
	ScopePublic   Scope = "public"   // anyone's, whatever the isolation
	ScopeClosed   Scope = "closed"   // nobody's
)

// checkScope refuses what is no scope of a computer. Before rules 4 group
// meant what open means.
func (s *State) checkScope(what string, scope Scope) error {
	switch {
	case scope == ScopePersonal, scope == ScopeGroup, scope == ScopePublic, scope == ScopeClosed:
		return nil
	case !s.follows(RulesOfGroups):
		return refuse(ErrInvalid, "%s: scope %.40q: personal, group, public or closed expected", what, string(scope))
	case scope == ScopeOpen:
		return nil
	}
	return refuse(ErrInvalid, "%s: scope %.40q: personal, group, open, public or closed expected", what, string(scope))
}

// GradePlain is the grade of a computer that runs partitions as mere
// processes. An open mesh places no stranger's instance there unless the
// scope is public.
const GradePlain = "plain"

// A Computer offers partitions.
type Computer struct {
	ID         ComputerID        `cbor:"1,keyasint"`
	Name       string            `cbor:"2,keyasint"`
	Account    AccountName       `cbor:"3,keyasint"` // its owner
	Scope      Scope             `cbor:"4,keyasint"`
	Partitions int               `cbor:"5,keyasint"` // offered: p0 and on
	Used       int               `cbor:"6,keyasint"` // held by instances
	Free       int               `cbor:"7,keyasint"` // offered and not held
	Next       int               `cbor:"8,keyasint"` // partitions from here on were never held
	Labels     map[string]string `cbor:"9,keyasint,omitempty"`
	Grade      string            `cbor:"10,keyasint,omitempty"`
	Arch       string            `cbor:"11,keyasint,omitempty"`
	Host       string            `cbor:"12,keyasint,omitempty"` // equal for peers that share a loopback
	State      ComputerState     `cbor:"13,keyasint"`
	Since      time.Time         `cbor:"14,keyasint"`           // of the state
	Cores      uint32            `cbor:"15,keyasint,omitempty"` // thousandths of a core; 0 is not known, as below
	Memory     int64             `cbor:"16,keyasint,omitempty"` // bytes
	Disk       int64             `cbor:"17,keyasint,omitempty"` // bytes
	Reserved   Needs             `cbor:"18,keyasint,omitzero"`  // what its instances need together
	Settings   Settings          `cbor:"19,keyasint,omitzero"`  // Scope and Labels are what comes of them
	Drained    bool              `cbor:"20,keyasint,omitempty"` // takes no new instances
	Retired    bool              `cbor:"21,keyasint,omitempty"` // … for good
	Given      bool              `cbor:"22,keyasint,omitempty"` // is not its peer's account's
	Bandwidth  int64             `cbor:"60,keyasint,omitempty"` // bits per second; as Cores
}

// title returns what people call the computer.
func (c Computer) title() string {
	if c.Name != "" {
		return c.Name
	}
	return string(c.ID)
}

// PartitionName returns the name of partition n, such as "p0".
func PartitionName(n int) string { return fmt.Sprintf("p%d", n) }
