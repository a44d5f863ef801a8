package ledger

import (
	"encoding/json"
	"time"
)

// A Release is a software release that the mesh knows. Its profile's bytes
// are kept apart: see [State.Profile].
type Release struct {
	Digest    ReleaseDigest   `cbor:"1,keyasint"`
	Name      string          `cbor:"2,keyasint"`
	Version   string          `cbor:"3,keyasint,omitempty"`
	Title     string          `cbor:"4,keyasint,omitempty"`
	Types     []string        `cbor:"5,keyasint,omitempty"`
	Schema    json.RawMessage `cbor:"6,keyasint,omitempty"` // of the parameters: JSON Schema
	Size      int             `cbor:"7,keyasint"`           // bytes of the profile
	Publisher AccountName     `cbor:"8,keyasint"`
	Published time.Time       `cbor:"9,keyasint"`
}

// A SupplyState is how far a computer is with a supply.
type SupplyState string

// The states of a supply. The first and the last are also what can be asked.
const (
	SupplyAvailable SupplyState = "available"
	SupplyWaiting   SupplyState = "waiting"
	SupplyBuilding  SupplyState = "building"
	SupplyError     SupplyState = "error"
	SupplyDestroyed SupplyState = "destroyed"
)

// A Supply is the order that a computer should have, or drop, a release.
type Supply struct {
	Computer  ComputerID    `cbor:"1,keyasint"`
	Release   ReleaseDigest `cbor:"2,keyasint"`
	Requested SupplyState   `cbor:"3,keyasint"` // available or destroyed
	State     SupplyState   `cbor:"4,keyasint"`
	Progress  string        `cbor:"5,keyasint,omitempty"`
	Error     string        `cbor:"6,keyasint,omitempty"`
	Changed   time.Time     `cbor:"7,keyasint"`
}
