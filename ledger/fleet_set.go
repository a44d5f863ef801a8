package ledger

import (
	"fmt"
	"maps"
	"time"
)

// Settings are what the owner says of a computer, over what the computer says
// itself in its [Offer].
type Settings struct {
	Scope  Scope             `cbor:"1,keyasint,omitempty"` // empty is as offered
	Labels map[string]string `cbor:"2,keyasint,omitempty"` // an empty value hides one that is offered

	// What the computer itself says, while something is said over it.
	OfferedScope  Scope             `cbor:"3,keyasint,omitempty"`
	OfferedLabels map[string]string `cbor:"4,keyasint,omitempty"`
}

// IsZero reports whether nothing is said.
func (s Settings) IsZero() bool { return s.Scope == "" && len(s.Labels) == 0 }

func (s Settings) equal(t Settings) bool {
	return s.Scope == t.Scope && maps.Equal(s.Labels, t.Labels) && s.OfferedScope == t.OfferedScope && maps.Equal(s.OfferedLabels, t.OfferedLabels)
}

// Offered returns what the computer says itself.
func (c Computer) Offered() (Scope, map[string]string) {
	if c.Settings.IsZero() {
		return c.Scope, c.Labels
	}
	return c.Settings.OfferedScope, c.Settings.OfferedLabels
}

// apply makes c, which is as the computer says itself, what its owner says.
func (c *Computer) apply(owners Settings) {
	if owners.IsZero() {
		c.Settings = Settings{}
		return
	}
	owners.OfferedScope, owners.OfferedLabels = c.Scope, c.Labels
	c.Settings = owners
	if owners.Scope != "" {
		c.Scope = owners.Scope
	}
	labels := make(map[string]string, len(c.Labels)+len(owners.Labels))
	maps.Copy(labels, c.Labels)
	for k, v := range owners.Labels {
		if labels[k] = v; v == "" {
			delete(labels, k)
		}
	}
	c.Labels = labels
}

// keep takes over from was what only its owner changes.
func (c *Computer) keep(was Computer) {
	c.Used, c.Next, c.Reserved = was.Used, was.Next, was.Reserved
	if was.State == ComputerLeft {
		return // it is back as a new one
	}
	c.Drained, c.Retired, c.Given = was.Drained, was.Retired, was.Given
	if was.Given {
		c.Account = was.Account
	}
	c.apply(was.Settings)
}

// SetComputer says whose instances a computer takes and what requests can
// filter on, whatever the computer says itself. Its owner and operators may.
type SetComputer struct {
	Computer ComputerID        `cbor:"1,keyasint"`
	Scope    Scope             `cbor:"2,keyasint,omitempty"` // empty keeps it
	Labels   map[string]string `cbor:"3,keyasint,omitempty"` // an empty value removes one; others are kept
	Reset    bool              `cbor:"4,keyasint,omitempty"` // begin with what the computer says itself
}

// Kind returns "set-computer".
func (SetComputer) Kind() string { return "set-computer" }

func (c SetComputer) decide(s *State, x Context) ([]Event, error) {
	was, err := s.steward(x.Principal, c.Computer, "set computer")
	if err != nil {
		return nil, err
	}
	if c.Scope != "" {
		if err := s.checkScope("set computer "+was.title(), c.Scope); err != nil {
			return nil, err
		}
	}
	owners := Settings{Scope: was.Settings.Scope, Labels: maps.Clone(was.Settings.Labels)}
	if c.Reset {
		owners = Settings{}
	}
	if c.Scope != "" {
		owners.Scope = c.Scope
	}
	now := was
	now.Scope, now.Labels = was.Offered()
	if len(c.Labels) > 0 && owners.Labels == nil {
		owners.Labels = make(map[string]string, len(c.Labels))
	}
	said := make(map[string]string, len(c.Labels))
	for k, v := range c.Labels {
		if owners.Labels[k] = v; v == "" {
			v = "-" // its key is checked
		}
		said[k] = v
		if _, offered := now.Labels[k]; !offered && owners.Labels[k] == "" {
			delete(owners.Labels, k) // there is nothing to hide
		}
	}
	if err := checkLabels("label", said); err != nil {
		return nil, err
	}
	if n := len(owners.Labels); n > MaxLabels {
		return nil, refuse(ErrInvalid, "set computer %s: %d labels, at most %d", was.title(), n, MaxLabels)
	}
	if now.apply(owners); equalComputers(was, now) {
		return nil, nil
	}
	return []Event{ComputerSet{now}}, nil
}

// steward returns a computer that p may speak for, as an admin of its owner or
// as an operator. A mere computer of an operator's account speaks for itself alone.
func (s *State) steward(p Principal, id ComputerID, what string) (Computer, error) {
	if !s.knowsProjects() {
		m, _ := s.Mesh()
		return Computer{}, refuse(ErrUnavailable, "%s: this mesh follows rules %d, which do not know that: all voters must be upgraded first", what, m.Rules)
	}
	c, ok := s.Computer(id)
	if !ok || c.State == ComputerLeft {
		return c, refuse(ErrNotFound, "%s: computer %.80q is not known", what, string(id))
	}
	owner, _ := s.Account(c.Account)
	if owner.Operator && !p.Operator && p.Kind == PrincipalPeer && ComputerID(p.Peer) != id {
		return c, refuse(ErrForbidden, "%s %s: the computer belongs to %s: ask at a voter of that account", what, c.title(), c.Account)
	}
	if _, err := s.ActFor(p, c.Account, RightAdmin); err != nil {
		return c, refuse(ErrForbidden, "%s %s: the computer belongs to %s: %v", what, c.title(), c.Account, err)
	}
	return c, nil
}

// DrainComputer keeps new instances away from a computer, or lets them come
// again. What is there stays. Its owner and operators may.
type DrainComputer struct {
	Computer ComputerID `cbor:"1,keyasint"`
	Drained  bool       `cbor:"2,keyasint,omitempty"`
}

// Kind returns "drain-computer".
func (DrainComputer) Kind() string { return "drain-computer" }

func (c DrainComputer) decide(s *State, x Context) ([]Event, error) {
	now, err := s.steward(x.Principal, c.Computer, "drain computer")
	switch {
	case err != nil:
		return nil, err
	case now.Drained == c.Drained:
		return nil, nil
	case now.Retired:
		return nil, refuse(ErrConflict, "drain computer %s: it is retired", now.title())
	}
	now.Drained = c.Drained
	return []Event{ComputerDrained{now}}, nil
}

// RetireComputer keeps new instances away from a computer for good. While
// instances are there it is refused, unless Force destroys them. Its owner and
// operators may.
type RetireComputer struct {
	Computer ComputerID `cbor:"1,keyasint"`
	Force    bool       `cbor:"2,keyasint,omitempty"`
}

// Kind returns "retire-computer".
func (RetireComputer) Kind() string { return "retire-computer" }

func (c RetireComputer) decide(s *State, x Context) ([]Event, error) {
	now, err := s.steward(x.Principal, c.Computer, "retire computer")
	if err != nil {
		return nil, err
	}
	var events []Event
	if !now.Retired {
		now.Retired = true
		events = append(events, ComputerRetired{now})
	}
	there := 0
	var coming Instance // with data that another computer still has
	for i := range s.InstancesOn(c.Computer) {
		if i.Requested == InstanceDestroyed {
			continue
		}
		if there++; i.From != 0 {
			coming = i
		}
	}
	switch {
	case c.Force && coming.ID != 0:
		path := s.Path(coming)
		return nil, refuse(ErrConflict, "retire computer %s: %s is on its way there, and would be destroyed with the data that it has elsewhere: move it to another computer first (slapd move %s), or destroy it", now.title(), path, path)
	case there > 0 && !c.Force:
		return nil, refuse(ErrConflict, "retire computer %s: instances are placed there (%d): destroy them first, or retire it with --force, which destroys them", now.title(), there)
	case c.Force:
		events = append(events, s.evict(x, now)...)
	}
	return events, nil
}

// evict destroys what is on a computer: when the computer reports it, or, if
// it is silent, at once, for it is to be forgotten.
func (s *State) evict(x Context, c Computer) []Event {
	t := turning{state: s, at: x}
	for i := range s.InstancesOn(c.ID) {
		now := i
		now.Requested, now.Asked, now.Kept = InstanceDestroyed, "", time.Time{}
		t.turn(i, now)
	}
	if c.State == ComputerOnline {
		return t.events
	}
	last := make(map[InstanceID]Instance)
	for _, e := range t.events {
		if e, ok := e.(Changed); ok {
			last[e.Instance.ID] = e.Instance
		}
	}
	for i := range s.InstancesOn(c.ID) {
		if now, ok := last[i.ID]; ok {
			i = now
		}
		t.events = append(t.events, cut(i, x.At))
	}
	return t.events
}

// A computerEvent says that the record of a computer changed.
type computerEvent struct{ Computer Computer }

func (e computerEvent) about() subject {
	return subject{account: e.Computer.Account, computer: e.Computer.ID}
}

func (e computerEvent) evolve(s *State) { s.setComputer(e.Computer) }

// ComputerSet says what the owner says of a computer.
type ComputerSet computerEvent

func (e ComputerSet) String() string {
	return fmt.Sprintf("set computer %s: scope %s, %d labels", e.Computer.title(), e.Computer.Scope, len(e.Computer.Labels))
}

func (e ComputerSet) kind() string { return "computer-set" }

func (e ComputerSet) about() subject { return computerEvent(e).about() }

func (e ComputerSet) evolve(s *State) { computerEvent(e).evolve(s) }

// ComputerDrained says that a computer takes no new instances, or takes them
// again.
type ComputerDrained computerEvent

func (e ComputerDrained) String() string {
	if e.Computer.Drained {
		return "drained computer " + e.Computer.title()
	}
	return "computer " + e.Computer.title() + " takes instances again"
}

func (e ComputerDrained) kind() string { return "computer-drained" }

func (e ComputerDrained) about() subject { return computerEvent(e).about() }

func (e ComputerDrained) evolve(s *State) { computerEvent(e).evolve(s) }

// ComputerRetired says that a computer takes no new instances any more.
type ComputerRetired computerEvent

func (e ComputerRetired) String() string { return "retired computer " + e.Computer.title() }

func (e ComputerRetired) kind() string { return "computer-retired" }

func (e ComputerRetired) about() subject { return computerEvent(e).about() }

func (e ComputerRetired) evolve(s *State) { computerEvent(e).evolve(s) }

// parseFleet is ParseCommand for the commands about computers.
func parseFleet(kind string, data []byte) (Command, error) {
	switch kind {
	case SetComputer{}.Kind():
		return parse[SetComputer](data)
	case DrainComputer{}.Kind():
		return parse[DrainComputer](data)
	case RetireComputer{}.Kind():
		return parse[RetireComputer](data)
	case GiveComputer{}.Kind():
		return parse[GiveComputer](data)
	default:
		return nil, fmt.Errorf("parse command: unknown kind %q", kind)
	}
}
