package ledger

import (
	"maps"
	"slices"
	"time"
)

// Report is what a computer says of its own instances and supplies. A report
// of what is not there any more, or of an older generation, is late and
// changes nothing; one of another computer's instance is refused as a whole.
type Report struct {
	Instances []InstanceReport `cbor:"1,keyasint,omitempty"`
	Supplies  []SupplyReport   `cbor:"2,keyasint,omitempty"`
}

// An InstanceReport is what a computer observes of an instance. The state
// destroyed says that nothing of it is left.
type InstanceReport struct {
	ID         InstanceID        `cbor:"1,keyasint"`
	Generation uint64            `cbor:"2,keyasint"` // that was observed
	State      InstanceState     `cbor:"3,keyasint"`
	Reason     string            `cbor:"4,keyasint,omitempty"`
	Healthy    bool              `cbor:"5,keyasint,omitempty"`
	Connection map[string]string `cbor:"6,keyasint,omitempty"`   // nil keeps what was published
	Ports      map[string]uint16 `cbor:"7,keyasint,omitempty"`   // nil keeps what was published
	UDP        []string          `cbor:"140,keyasint,omitempty"` // names of Ports that are of UDP, sorted; the others are of TCP
}

// A SupplyReport is how far a computer is with a supply.
type SupplyReport struct {
	Release  ReleaseDigest `cbor:"1,keyasint"`
	State    SupplyState   `cbor:"2,keyasint"`
	Progress string        `cbor:"3,keyasint,omitempty"`
	Error    string        `cbor:"4,keyasint,omitempty"`
}

// Kind returns "report".
func (Report) Kind() string { return "report" }

// rules: older programs take every port for one of TCP.
func (c Report) rules() uint64 {
	if slices.ContainsFunc(c.Instances, func(r InstanceReport) bool { return len(r.UDP) > 0 }) {
		return RulesOfGroups
	}
	return 1
}

func (c Report) decide(s *State, x Context) ([]Event, error) {
	if x.Principal.Kind != PrincipalPeer {
		return nil, refuse(ErrForbidden, "report: only a computer reports")
	}
	computer, ok := s.Computer(ComputerID(x.Principal.Peer))
	if !ok {
		return nil, refuse(ErrNotFound, "report: %s offers no computer", x.Principal.Peer)
	}
	if n := len(c.Instances) + len(c.Supplies); n > MaxReports {
		return nil, refuse(ErrInvalid, "report: %d entries, at most %d", n, MaxReports)
	}
	var events []Event
	if computer.State == ComputerLost {
		events = append(events, ComputerMarked{computer.ID, computer.title(), computer.Account, ComputerOnline, x.At})
	}
	seen := make(map[InstanceID]bool, len(c.Instances))
	for _, r := range c.Instances {
		if seen[r.ID] {
			return nil, refuse(ErrInvalid, "report: instance %s twice", r.ID)
		}
		seen[r.ID] = true
		e, err := r.decide(s, computer, x)
		if err != nil {
			return nil, err
		}
		events = append(events, e...)
	}
	told := make(map[ReleaseDigest]bool, len(c.Supplies))
	for _, r := range c.Supplies {
		if told[r.Release] {
			return nil, refuse(ErrInvalid, "report: supply %.80q twice", string(r.Release))
		}
		told[r.Release] = true
		e, err := r.decide(s, computer, x.At)
		if err != nil {
			return nil, err
		}
		events = append(events, e...)
	}
	return events, nil
}

func (r InstanceReport) decide(s *State, computer Computer, x Context) ([]Event, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	was, ok := s.Instance(r.ID)
	switch {
	case !ok:
		return nil, nil // forgotten
	case was.Computer != computer.ID:
		return nil, refuse(ErrForbidden, "report: instance %s is not on %s", r.ID, computer.title())
	case was.Settled() || r.Generation < was.Generation:
		return nil, nil // late
	case r.Generation > was.Generation:
		return nil, refuse(ErrInvalid, "report: instance %s has no generation %d", r.ID, r.Generation)
	case r.State == InstanceDestroyed && was.Requested != InstanceDestroyed:
		return nil, refuse(ErrConflict, "report: nobody asked that instance %s be destroyed", r.ID)
	case r.State == InstanceDestroyed:
		return []Event{freed(was, x.At)}, nil
	}
	now := was
	now.State, now.Reason, now.Healthy = r.State, r.Reason, r.Healthy
	if r.Connection != nil {
		now.Connection = r.Connection
	}
	if r.Ports != nil {
		now.Ports, now.UDP = r.Ports, r.UDP
	}
	follows := s.succeed(x, &now)
	if len(follows) == 0 && now.From == was.From && now.State == was.State && now.Reason == was.Reason && now.Healthy == was.Healthy &&
		maps.Equal(now.Connection, was.Connection) && maps.Equal(now.Ports, was.Ports) && slices.Equal(now.UDP, was.UDP) {
		return nil, nil
	}
	now.Changed = x.At
	return append([]Event{Observed{now, now.State == was.State && now.Healthy == was.Healthy}}, follows...), nil
}

func (r InstanceReport) check() error {
	if !r.State.observable() {
		return refuse(ErrInvalid, "report: instance %s: state %.40q", r.ID, string(r.State))
	}
	if err := checkText("report: reason", r.Reason, MaxReason); err != nil {
		return err
	}
	size := 0
	for _, k := range sortedKeys(r.Connection) {
		if err := checkName("report: connection parameter", k, MaxLabel); err != nil {
			return err
		}
		if err := checkText("report: connection parameter "+k, r.Connection[k], MaxConnection); err != nil {
			return err
		}
		if size += len(k) + len(r.Connection[k]); size > MaxConnection {
			return refuse(ErrInvalid, "report: instance %s: the connection exceeds %d bytes", r.ID, MaxConnection)
		}
	}
	if len(r.Ports) > MaxPorts {
		return refuse(ErrInvalid, "report: instance %s: %d ports, at most %d", r.ID, len(r.Ports), MaxPorts)
	}
	for _, k := range sortedKeys(r.Ports) {
		if err := checkName("report: port", k, MaxName); err != nil {
			return err
		}
		if r.Ports[k] == 0 {
			return refuse(ErrInvalid, "report: instance %s: port %s is 0", r.ID, k)
		}
	}
	for n, name := range r.UDP {
		if _, ok := r.Ports[name]; !ok || n > 0 && r.UDP[n-1] >= name {
			return refuse(ErrInvalid, "report: instance %s: %.40q is no port of UDP, or the names are not in order", r.ID, name)
		}
	}
	return nil
}

func (r SupplyReport) decide(s *State, computer Computer, at time.Time) ([]Event, error) {
	if err := checkText("report: progress", r.Progress, MaxReason); err != nil {
		return nil, err
	}
	if err := checkText("report: error", r.Error, MaxReason); err != nil {
		return nil, err
	}
	was, ok := s.Supply(computer.ID, r.Release)
	if !ok {
		return nil, nil // dropped
	}
	release, _ := s.Release(r.Release)
	now := was
	switch r.State {
	case SupplyWaiting, SupplyBuilding, SupplyAvailable, SupplyError:
		now.State, now.Progress, now.Error, now.Changed = r.State, r.Progress, r.Error, at
		if now.State == was.State && now.Progress == was.Progress && now.Error == was.Error {
			return nil, nil
		}
		return []Event{SupplyReported{now, release.Name, computer.title(), computer.Account, now.State == was.State}}, nil
	case SupplyDestroyed:
		if was.Requested != SupplyDestroyed {
			return nil, nil // it was ordered again meanwhile
		}
		return []Event{SupplyDropped{now, release.Name, computer.title(), computer.Account}}, nil
	}
	return nil, refuse(ErrInvalid, "report: supply %s: state %.40q", release.Name, string(r.State))
}

// freed returns the event that ends i: what could give away a secret is
// forgotten at once, the rest after a while.
func freed(i Instance, at time.Time) Freed {
	i.Requested, i.State, i.Reason, i.Healthy = InstanceDestroyed, InstanceDestroyed, "", false
	i.Parameters, i.Connection, i.Ports, i.UDP = nil, nil, nil, nil
	i.Asked, i.Kept = "", time.Time{}
	i.From, i.FromComputer, i.MovedTo = 0, "", ""
	i.Changed = at
	return Freed{Instance: i}
}

// cut is freed for an instance whose computer does not say so.
func cut(i Instance, at time.Time) Freed {
	e := freed(i, at)
	e.Cut = true
	return e
}
