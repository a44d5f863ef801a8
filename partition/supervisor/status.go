package supervisor

import (
	"slices"
	"time"
)

// A Phase is how far a partition is.
type Phase string

// The phases. A partition in [PhaseError] is tried on; it leaves the phase by
// itself when what failed works again.
const (
	PhaseIdle       Phase = "idle"       // no Spec yet
	PhaseInstalling Phase = "installing" // writing files, running once-steps
	PhaseStarting   Phase = "starting"   // services or promises not good yet
	PhaseStarted    Phase = "started"    // all services up, each promise passed since the last change
	PhaseStopping   Phase = "stopping"
	PhaseStopped    Phase = "stopped"
	PhaseError      Phase = "error"
)

// A Status is what a partition is now.
type Status struct {
	Phase   Phase  `cbor:"1,keyasint"`
	Reason  string `cbor:"2,keyasint,omitempty"` // why not started, or not healthy, in one sentence
	Healthy bool   `cbor:"3,keyasint,omitempty"` // all services up and all promises hold
	Spec    string `cbor:"4,keyasint,omitempty"` // [Spec.Hash] of what was applied last

	Services []ServiceStatus `cbor:"5,keyasint,omitempty"`
	Steps    []StepStatus    `cbor:"6,keyasint,omitempty"`
	Promises []PromiseStatus `cbor:"7,keyasint,omitempty"`
	Jobs     []JobStatus     `cbor:"20,keyasint,omitempty"`
}

// A ServiceStatus is what one service is now.
type ServiceStatus struct {
	Name     string    `cbor:"1,keyasint"`
	PID      int       `cbor:"2,keyasint,omitempty"` // as the partition counts; 0 when it does not run
	Ready    bool      `cbor:"3,keyasint,omitempty"`
	Starts   int       `cbor:"4,keyasint,omitempty"` // times it was started
	Reason   string    `cbor:"5,keyasint,omitempty"` // how it ended last
	Since    time.Time `cbor:"6,keyasint,omitzero"`  // when it was started last
	Stopping bool      `cbor:"7,keyasint,omitempty"`
}

// A StepStatus is what one once-step is now.
type StepStatus struct {
	Name    string `cbor:"1,keyasint"`
	Done    bool   `cbor:"2,keyasint,omitempty"`
	Running bool   `cbor:"3,keyasint,omitempty"`
	Reason  string `cbor:"4,keyasint,omitempty"` // how it failed last
}

// A PromiseStatus is what one promise said last.
type PromiseStatus struct {
	Name    string    `cbor:"1,keyasint"`
	Passed  bool      `cbor:"2,keyasint,omitempty"`
	Message string    `cbor:"3,keyasint,omitempty"` // why it did not hold
	At      time.Time `cbor:"4,keyasint,omitzero"`
}

// same says whether nobody need be told that a became b: times of checks that
// had the same result do not count.
func (s Status) same(b Status) bool {
	return s.Phase == b.Phase && s.Reason == b.Reason && s.Healthy == b.Healthy && s.Spec == b.Spec &&
		slices.Equal(s.Services, b.Services) && slices.Equal(s.Steps, b.Steps) && slices.Equal(s.Jobs, b.Jobs) &&
		slices.EqualFunc(s.Promises, b.Promises, func(p, q PromiseStatus) bool {
			return p.Name == q.Name && p.Passed == q.Passed && p.Message == q.Message && p.At.IsZero() == q.At.IsZero()
		})
}
