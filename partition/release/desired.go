package release

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// An Input is everything that a profile may know of an instance.
type Input struct {
	// Type is one of the release's types. Empty means the first.
	Type string
	// Parameters are the requester's, as asked for. Evaluate checks them and
	// adds the defaults.
	Parameters map[string]json.RawMessage
	// Reference is the name that the requester gave the instance.
	Reference string
	// Address is the instance's own. Services bind it and nothing else.
	Address netip.Addr
	// Root is the folder of the partition as the instance sees it. Default
	// "/data".
	Root string
	// Secret returns the instance's secret of that name: letters and digits
	// only, and always the same for the same name. Who runs the instance makes
	// it when it is first asked for and keeps it. Required by profiles that use
	// secrets.
	Secret func(name string) string

	// Shared are the shared instances inside this one, and Gone the numbers of
	// those that were there and were destroyed lately. By number.
	Shared []Shared
	Gone   []uint64

	// Children are the instances that this one requested, by the name that it
	// gave them.
	Children map[string]Child
}

// A Desired is what an instance should be. Paths are relative to the
// partition's folder, with slashes, and never leave it. Lists are in the
// order in which the profile made them.
type Desired struct {
	Dirs      []Dir
	Files     []File
	Once      []Step
	Services  []Service
	Promises  []Promise
	Metrics   []Metric          `cbor:",omitempty"`
	Published map[string]string // the connection parameters
	Ports     map[string]uint16 // those of all services, by name
	UDP       []string          `cbor:",omitempty"` // the names of those of UDP, sorted; the others are of TCP
	Shared    map[uint64]Served `cbor:",omitempty"` // by number; nil if the release serves none
	Jobs      []Job             `cbor:",omitempty"`
	Requests  []Request         `cbor:",omitempty"` // the instances that it needs
}

// A Dir is a folder that is there before anything runs, and that is kept.
type Dir struct {
	Path   string
	Mode   uint32
	Backup bool // its content is what a backup of the instance must hold
}

// A File is made anew, by rename, when its content or mode changes.
type File struct {
	Path    string
	Mode    uint32
	Content []byte
}

// A Step is a command that has to succeed once. Steps without After run in
// their order before any service starts; the others once that service is
// ready.
type Step struct {
	Name  string
	Argv  []string
	Stdin []byte
	Env   map[string]string
	After string // a service, or empty
	// Revision names this work: a step that has succeeded is not run again for
	// the same Revision. It covers the command and its input, not the files that
	// they name, or else the profile's own key.
	Revision string
}

// A Service is a process that should always run.
type Service struct {
	Name      string
	Argv      []string
	Env       map[string]string
	Ports     map[string]uint16 // on the instance's address, by name
	UDP       []string          `cbor:",omitempty"` // the names of those of UDP
	After     []string          // services that have to be ready before it starts
	Readiness *Readiness        // nil: ready when its ports of TCP accept connections
	// StopSignal asks the service to end, such as "SIGTERM"; after StopGrace it is
	// killed.
	StopSignal string
	StopGrace  time.Duration
	// Uses are the paths of the Files that the service reads at start.
	Uses []string
	// Revision changes whenever the service has to be started again: it covers
	// all of the above and the content of the files in Uses.
	Revision string
}

// A Readiness says when a service that has started is ready.
type Readiness struct {
	Probe   Probe
	Timeout time.Duration // started but not ready within it: failed
}

// A Probe is one look at a running instance. Exactly one of Exec, TCP and
// HTTP is set.
type Probe struct {
	Exec []string          // holds when the command exits with 0
	Env  map[string]string // added to the command's
	TCP  string            // host:port; holds when a connection is accepted
	HTTP string            // URL; holds when the answer's status is 2xx or 3xx
}

// A Promise is a check that the instance makes of itself.
type Promise struct {
	Name    string
	Probe   Probe
	Every   time.Duration
	Timeout time.Duration
}

// Hash names a Desired: equal values have equal hashes.
func (d Desired) Hash() string { return digestOf(d) }

// digestOf returns the digest of v's one encoding.
func digestOf(v any) string {
	data, err := canonical.Marshal(v)
	if err != nil {
		panic("release: encode " + err.Error()) // our own plain types always encode
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// canonical gives every value one byte form.
var canonical = func() cbor.EncMode {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic("release: " + err.Error())
	}
	return mode
}()

// Movable says why an instance cannot be moved with its data: its profile has
// to mark what of it matters, which says also that the data is whole when
// nothing runs. What keeps nothing can always move.
func (d Desired) Movable() error {
	if len(d.Dirs) == 0 || slices.ContainsFunc(d.Dirs, func(dir Dir) bool { return dir.Backup }) {
		return nil
	}
	return errors.New("its profile marks no folder with backup = True, so nobody knows whether its data would be whole")
}
