package ledger

import (
	"encoding/json"
	"time"

	"github.com/slapmesh/slapmesh/ledger/book"
	"github.com/slapmesh/slapmesh/ledger/placement"
)

// An InstanceState is what is requested of an instance, or observed of it.
type InstanceState string

// The states of an instance. Started, stopped and destroyed can also be
// requested.
const (
	InstanceWaiting   InstanceState = "waiting"  // its computer has not begun
	InstanceBuilding  InstanceState = "building" // its release is being built
	InstanceStarting  InstanceState = "starting"
	InstanceStarted   InstanceState = "started" // services up, promises held, connection published
	InstanceStopping  InstanceState = "stopping"
	InstanceStopped   InstanceState = "stopped"
	InstanceDestroyed InstanceState = "destroyed" // its partition and address are free again
	InstanceError     InstanceState = "error"
)

func (s InstanceState) requestable() bool {
	return s == InstanceStarted || s == InstanceStopped || s == InstanceDestroyed
}

func (s InstanceState) observable() bool {
	switch s {
	case InstanceWaiting, InstanceBuilding, InstanceStarting, InstanceStarted,
		InstanceStopping, InstanceStopped, InstanceDestroyed, InstanceError:
		return true
	}
	return false
}

// An Instance is a release allocated to a partition.
//
// A reader must not change the maps: the record is shared.
type Instance struct {
	ID          InstanceID                 `cbor:"1,keyasint"`
	Account     AccountName                `cbor:"2,keyasint"`
	Reference   Reference                  `cbor:"3,keyasint"`
	Release     ReleaseDigest              `cbor:"4,keyasint"`
	ReleaseName string                     `cbor:"5,keyasint"`
	Type        string                     `cbor:"6,keyasint"`
	Parameters  map[string]json.RawMessage `cbor:"7,keyasint,omitempty"`
	Filter      map[string]string          `cbor:"8,keyasint,omitempty"`
	Shared      bool                       `cbor:"9,keyasint,omitempty"`
	Requested   InstanceState              `cbor:"10,keyasint"`
	State       InstanceState              `cbor:"11,keyasint"`
	Reason      string                     `cbor:"12,keyasint,omitempty"`
	Healthy     bool                       `cbor:"13,keyasint,omitempty"` // all promises held when last reported
	Computer    ComputerID                 `cbor:"14,keyasint"`
	Partition   int                        `cbor:"15,keyasint"`
	Address     Address                    `cbor:"16,keyasint"` // its own while it holds the partition
	Connection  map[string]string          `cbor:"17,keyasint,omitempty"`
	Ports       map[string]uint16          `cbor:"18,keyasint,omitempty"`
	UDP         []string                   `cbor:"140,keyasint,omitempty"` // the names of Ports that are of UDP, sorted

	// Generation is raised whenever what the partition must do changes. A
	// report of an older one is out of date and changes nothing.
	Generation uint64 `cbor:"19,keyasint"`

	Where  string           `cbor:"22,keyasint,omitempty"` // see Request
	Policy placement.Policy `cbor:"23,keyasint,omitempty"`

	Needs    Needs       `cbor:"30,keyasint,omitzero"` // what it holds of its computer while it holds the partition
	Affinity Affinity    `cbor:"31,keyasint,omitzero"`
	MaxPrice book.Amount `cbor:"32,keyasint,omitempty"`

	// Parent is the instance that requested this one, and Root the first one
	// of its tree; both are zero for a root. Of what its parent forbids, Asked
	// is what is asked of it all the same: see [State.Tree].
	Parent InstanceID    `cbor:"38,keyasint,omitempty"`
	Root   InstanceID    `cbor:"39,keyasint,omitempty"`
	Asked  InstanceState `cbor:"40,keyasint,omitempty"`

	// Host is the instance inside which a shared one is. Scope says whose
	// shared instances one takes: its account's, or anyone's if it is public.
	Host  InstanceID `cbor:"41,keyasint,omitempty"`
	Scope Scope      `cbor:"42,keyasint,omitempty"`

	// Retention is how long the data is kept when the instance is destroyed,
	// and Kept until when it is, if it was.
	Retention time.Duration `cbor:"44,keyasint,omitempty"`
	Kept      time.Time     `cbor:"45,keyasint,omitzero"`

	// Moved is what the instance became on another computer.
	Moved InstanceID `cbor:"46,keyasint,omitempty"`

	// From is the instance, on FromComputer, whose data this one takes before it
	// starts for the first time; zero once it was started with all its promises
	// held. MovedTo is the computer of Moved, which may have the data of this one.
	From         InstanceID `cbor:"160,keyasint,omitempty"`
	FromComputer ComputerID `cbor:"161,keyasint,omitempty"`
	MovedTo      ComputerID `cbor:"162,keyasint,omitempty"`

	// Stamp changes exactly when something changes that the instance can see.
	// It is strictly later each time, in microseconds. Zero in an instance of
	// which nothing has changed since rules 3.
	Stamp time.Time `cbor:"43,keyasint,omitzero"`

	Created time.Time `cbor:"20,keyasint"`
	Changed time.Time `cbor:"21,keyasint"` // when anything above changed last
}

func (i Instance) key() Key { return Key{N: uint64(i.ID)} }

// Settled reports whether i is gone: it holds no partition and no address,
// and is shown for a while only.
func (i Instance) Settled() bool { return i.State == InstanceDestroyed }

// WithoutSecrets returns i as those see it who may only look: parameters and
// connection parameters hold passwords.
func (i Instance) WithoutSecrets() Instance {
	i.Parameters, i.Connection = nil, nil
	return i
}
