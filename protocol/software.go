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

// VerifyReleasesInput says what becomes of what came to harm.
type VerifyReleasesInput struct {
	Repair bool `json:"repair" doc:"take what is damaged from peers, or make it anew"`
}

// A TreeState is how a release's files were found, or left.
type TreeState string

// The states of a tree.
const (
	TreeSound    TreeState = "sound"
	TreeDamaged  TreeState = "damaged"
	TreeRepaired TreeState = "repaired"
	TreeReplaced TreeState = "replaced" // its sources give another tree by now
	TreeRemoved  TreeState = "removed"  // nobody needs it
)

// A VerifiedTree is the files of releases, which were read.
type VerifiedTree struct {
	Tree     string    `json:"tree" doc:"digest of all that it has"`
	Releases []string  `json:"releases" doc:"made of it, and ordered on this computer"`
	Files    int       `json:"files"`
	Bytes    int64     `json:"bytes"`
	Damage   []Damage  `json:"damage" doc:"the first 1000"`
	State    TreeState `json:"state" enum:"sound,damaged,repaired,replaced,removed"`
	Reason   string    `json:"reason" doc:"why it is still damaged, or was removed"`
}

// Filled returns t with empty lists in place of missing ones.
func (t VerifiedTree) Filled() VerifiedTree {
	t.Releases, t.Damage = list(t.Releases), list(t.Damage)
	return t
}

// A Damage is a file that is not what it was.
type Damage struct {
	Path string `json:"path"`
	What string `json:"what" doc:"is wrong with it"`
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
