package protocol

import (
	"encoding/json"
	"time"
)

// A Release is software that can be requested.
type Release struct {
	Name       string          `json:"name"`
	Version    string          `json:"version"`
	Title      string          `json:"title"`
	Digest     string          `json:"digest" doc:"sha256:…, which pins the profile"`
	Types      []string        `json:"types" doc:"the instance types it knows, the default one first"`
	Parameters json.RawMessage `json:"parameters" doc:"JSON Schema of its parameters"`
	Published  bool            `json:"published" doc:"in the ledger; otherwise known from the catalogue of the asked peer"`
}

// MaxProfile bounds the bytes of a profile.
const MaxProfile = 1 << 20

// PublishInput carries a release's profile as its canonical archive.
type PublishInput struct {
	Profile []byte `json:"profile" maxLength:"1398104"`
	Account string `json:"account,omitempty" maxLength:"64" doc:"the publisher: the caller, if not given, a project of the caller, or another for operators"`
}

// A SupplyState is what an order for software says.
type SupplyState string

// The states that a supply may ask for.
const (
	SupplyAvailable SupplyState = "available"
	SupplyDestroyed SupplyState = "destroyed"
)

// A SupplyInput orders a computer to have a release, or to drop it.
type SupplyInput struct {
	Release  string      `json:"release" minLength:"1" maxLength:"1024" doc:"name, name@version, digest or address"`
	Computer string      `json:"computer,omitempty" maxLength:"256" doc:"id or name; empty is the asked peer's own"`
	State    SupplyState `json:"state,omitempty" enum:"available,destroyed" doc:"available, if not given"`
}

// A Supply is one release on one computer.
type Supply struct {
	Computer       string      `json:"computer"`
	ComputerName   string      `json:"computer_name"`
	Release        string      `json:"release"`
	ReleaseDigest  string      `json:"release_digest"`
	RequestedState SupplyState `json:"requested_state"`
	State          string      `json:"state" enum:"waiting,building,available,error,destroyed"`
	Progress       string      `json:"progress" doc:"what the build does now"`
	Reason         string      `json:"reason" doc:"why it is in error"`
	Changed        time.Time   `json:"changed"`
}
