package command

import (
	"context"
	"log/slog"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// A Peer runs peers of a mesh. Each method runs until ctx is done, and then
// returns nil, unless its options say otherwise.
type Peer interface {
	// Init founds a mesh and runs its first peer.
	Init(ctx context.Context, opt InitOptions) error

	// Join joins a mesh and runs this peer of it.
	Join(ctx context.Context, opt JoinOptions) error

	// Run runs the peer of a folder again.
	Run(ctx context.Context, opt RunOptions) error

	// Demo shows a mesh on this machine, and returns when it has been shown.
	Demo(ctx context.Context, opt DemoOptions) error
}

// RunOptions say how a peer runs. What is empty keeps what the folder
// remembers, or takes its default.
type RunOptions struct {
	// Dir is the folder of the peer's state. It is always given.
	Dir string

	// Name is what people call the peer. Default: the host's name.
	Name string

	// Listen is the HOST:PORT of the mesh, API that of the local API.
	Listen, API string

	// Advertise are further HOST:PORT at which others reach this peer.
	Advertise []string

	// NoRelay keeps the peer from carrying packets between others,
	// NoPortMapping from asking the router for a port.
	NoRelay, NoPortMapping *bool

	// RelayRate is how much it carries between others, in bits per second.
	RelayRate *int64

	// NoBuild keeps the computer from building releases.
	NoBuild *bool

	// PrivateSources allows releases to be made of what only this computer can
	// reach.
	PrivateSources *bool

	// Egress lets instances out to the Internet whose releases ask for it.
	Egress *bool

	// Partitions is how many instances the computer takes.
	Partitions *int

	// Bandwidth is what the computer's line carries, in bits per second.
	Bandwidth *int64

	// Labels are what requests filter on.
	Labels map[string]string

	// NoDiscovery keeps the peer from being found, and from looking for others,
	// on the local network.
	NoDiscovery *bool

	// Log receives what happens.
	Log *slog.Logger

	// Ready is called once, when the peer answers calls.
	Ready func(Ready)
}

// InitOptions say what mesh to found.
type InitOptions struct {
	RunOptions

	// Mesh is the name of the mesh. Default: the peer's.
	Mesh string

	// Open lets everybody join who knows the fingerprint.
	Open bool

	// Approve lets everybody ask to join who knows the fingerprint, and wait for
	// an operator.
	Approve bool

	// EnrollOnly founds and does not run. Ready is not called.
	EnrollOnly bool
}

// JoinOptions say which mesh to join.
type JoinOptions struct {
	RunOptions

	// Address is HOST[:PORT][#FINGERPRINT] of any peer, as it was typed; "" is
	// to look for one on the local network.
	Address string

	// Token admits to a private mesh, as it was typed; "" is none.
	Token string

	// Waits is called again and again while an operator has yet to decide: id
	// is this peer's, as it is shown to the operator.
	Waits func(id string, since, until time.Time)

	// EnrollOnly joins and does not run. Ready is not called.
	EnrollOnly bool

	// Check finds out whether joining would succeed, and changes nothing.
	Check bool

	// Told is called with what was found out before anything is asked for,
	// and, unless that is all, once more when this computer is admitted.
	Told func(protocol.JoinReport)
}

// DemoOptions say what to show.
type DemoOptions struct {
	// Peers is how many peers the mesh has.
	Peers int

	// Keep leaves the mesh up at the end.
	Keep bool

	// Dir is where the peers keep their state; "" is a temporary folder.
	Dir string
}

// Ready is what a peer that has just come up tells its user.
type Ready struct {
	// Status is the peer's own.
	Status protocol.Status `json:"status"`

	// Socket is the path of the control socket.
	Socket string `json:"socket"`

	// Invitation is a token for the next computer, if one was made.
	Invitation *protocol.Token `json:"invitation,omitempty"`

	// Join is the line to type on the next computer, if there is one.
	Join string `json:"join,omitempty"`
}
