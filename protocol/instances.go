package protocol

import (
	"encoding/json"
	"time"
)

// A Ref names an instance: the requester's own reference, which is unique in an
// account.
type Ref struct {
	Reference string
	Account   string // "" is the caller's own
}

// A RequestedState is what an instance should be.
type RequestedState string

// The states that can be requested.
const (
	RequestStarted   RequestedState = "started"
	RequestStopped   RequestedState = "stopped"
	RequestDestroyed RequestedState = "destroyed"
)

// A State is what an instance is.
type State string

// The observed states.
const (
	StateWaiting   State = "waiting"
	StateBuilding  State = "building"
	StateStarting  State = "starting"
	StateStarted   State = "started"
	StateStopping  State = "stopping"
	StateStopped   State = "stopped"
	StateDestroyed State = "destroyed"
	StateError     State = "error"
)

// MaxParameters bounds the JSON of all parameters of an instance.
const MaxParameters = 64 << 10

// A RequestInput creates an instance or changes it. What is left out keeps its
// value, or takes its default when the instance is new.
type RequestInput struct {
	Reference string `json:"reference" minLength:"1" maxLength:"128"`
	Account   string `json:"account,omitempty" maxLength:"64" doc:"whose instance; the caller's own, if not given"`
	Release   string `json:"release,omitempty" maxLength:"1024" doc:"name, name@version, digest or address; may be left out for an instance that exists"`
	Type      string `json:"type,omitempty" maxLength:"64" doc:"one of the release's types"`

	// Parameters are merged into those that the instance has, key by key; a
	// null removes its key.
	Parameters        map[string]json.RawMessage `json:"parameters,omitempty"`
	ReplaceParameters bool                       `json:"replace_parameters,omitempty" doc:"drop the parameters that are not given"`

	// Filter replaces the filter when it is not nil.
	Filter map[string]string `json:"filter,omitempty" doc:"what the computer must be, such as country or computer"`

	// Where replaces the expression when it is not empty, and together with
	// Filter when that is not nil.
	Where string `json:"where,omitempty" maxLength:"4096" doc:"an expression that the computer must meet, such as: cores >= 4 and country in [FR, DE]"`

	// Needs is what the computer keeps for the instance. What is zero keeps
	// its value, unless ReplaceNeeds is set.
	Needs        Needs `json:"needs,omitzero" doc:"what the computer keeps for the instance"`
	ReplaceNeeds bool  `json:"replace_needs,omitempty" doc:"drop the needs, near, apart and the highest price that are not given"`

	// Near and Apart name other instances of the account. They are looked at
	// when the instance is placed; none keeps what is there, as above.
	Near    []string `json:"near,omitempty" maxItems:"32" doc:"references that it is to be near to"`
	NearBy  string   `json:"near_by,omitempty" enum:"computer,site" doc:"what near means; computer, if not given"`
	Apart   []string `json:"apart,omitempty" maxItems:"32" doc:"references that it is to be apart from"`
	ApartBy string   `json:"apart_by,omitempty" maxLength:"128" doc:"what apart means: computer, if not given, host, site, or a label"`

	// MaxPrice is what an hour of holding what it needs may cost, in credits.
	MaxPrice string `json:"max_price,omitempty" maxLength:"24" pattern:"^[0-9]{1,12}([.][0-9]{1,6})?$" patternDescription:"a decimal number of credits with at most 6 decimals, such as 0.02" doc:"what an hour may cost at most, in credits; 0 is any"`

	// Policy says which of the computers that will do is taken.
	Policy string `json:"policy,omitempty" enum:"default,pack,spread,cheapest" doc:"pack fills computers up, spread goes to sites where the account has least, cheapest where an hour of what it needs costs least"`

	// Parent and what follows are about trees and shared instances.
	Parent string         `json:"parent,omitempty" maxLength:"2048" doc:"the instance that requests it, by reference or id (i12): its computer may ask, or its account"`
	Scope  string         `json:"scope,omitempty" enum:"personal,public" doc:"whose shared instances it takes: of its own account, if not given, or anyone's"`
	Keep   string         `json:"keep,omitempty" maxLength:"20" doc:"how long its data is kept when it is destroyed, such as 24h or 7d"`
	Shared *bool          `json:"shared,omitempty" doc:"a place inside another instance; fixed when the instance is made"`
	State  RequestedState `json:"state,omitempty" enum:"started,stopped,destroyed" doc:"started, for a new instance, if not given"`
}

// An InstanceQuery says which instances to list or to watch.
type InstanceQuery struct {
	Reference string // "" is all
	Account   string // "" is the caller's own
	All       bool   // of all accounts; operators only
}

// An Instance is a release allocated to a partition.
type Instance struct {
	Reference     string `json:"reference"`
	Account       string `json:"account"`
	ID            uint64 `json:"id" doc:"number in the ledger, never used again"`
	Release       string `json:"release"`
	ReleaseDigest string `json:"release_digest"`
	Type          string `json:"type"`

	Parameters map[string]json.RawMessage `json:"parameters"`
	Filter     map[string]string          `json:"filter"`
	Reaches    string                     `json:"reaches,omitempty" doc:"what of the world it may connect to, in words"`
	Where      string                     `json:"where,omitempty"`
	Policy     string                     `json:"policy,omitempty"`
	Needs      Needs                      `json:"needs" doc:"what its computer keeps for it"`
	Near       []string                   `json:"near,omitempty"`
	NearBy     string                     `json:"near_by,omitempty"`
	Apart      []string                   `json:"apart,omitempty"`
	ApartBy    string                     `json:"apart_by,omitempty"`
	MaxPrice   string                     `json:"max_price,omitempty" doc:"what an hour may cost at most, in credits"`
	Shared     bool                       `json:"shared"`

	// Parent and Root are the instance that requested this one, and the first
	// of its tree. Host is the instance inside which a shared one is.
	Parent string `json:"parent,omitempty"`
	Root   string `json:"root,omitempty"`
	Host   string `json:"host,omitempty" doc:"by its id"`
	Scope  string `json:"scope,omitempty" doc:"whose shared instances it takes: public is anyone's"`

	RequestedState RequestedState `json:"requested_state" enum:"started,stopped,destroyed"`

	// AskedState is what is asked of it, if the state of its parent forbids
	// that.
	AskedState RequestedState `json:"asked_state,omitempty"`

	// Keep is how long its data is kept when it is destroyed, and KeptUntil
	// when that ends, if it was.
	Keep      string     `json:"keep,omitempty"`
	KeptUntil *time.Time `json:"kept_until,omitempty"`

	// State is what the computer last reported for this very request: after a
	// change that the computer has not taken up yet it is not started, even
	// though the old one still runs.
	State   State  `json:"state" enum:"waiting,building,starting,started,stopping,stopped,destroyed,error"`
	Reason  string `json:"reason" doc:"why it is in that state, or how far a build is"`
	Healthy bool   `json:"healthy" doc:"every promise holds"`

	Computer     string            `json:"computer"`
	ComputerName string            `json:"computer_name"`
	Partition    string            `json:"partition"`
	Address      string            `json:"address" doc:"IP address of the instance, the same on every peer of the account"`
	Ports        map[string]uint16 `json:"ports"`
	UDPPorts     []string          `json:"udp_ports,omitempty" doc:"the names of the ports that are of UDP; the others are of TCP"`
	Connection   map[string]string `json:"connection" doc:"what the instance publishes: url, user, password"`

	// Unreachable is since when the computer is lost, if it is.
	Unreachable *time.Time `json:"unreachable,omitempty"`
	Generation  uint64     `json:"generation" doc:"raised when what the partition must do changes"`
	Timestamp   time.Time  `json:"timestamp" doc:"changes exactly when something changes that the instance can see"`
	Created     time.Time  `json:"created"`
	Changed     time.Time  `json:"changed"`

	// Events are the most recent ones, oldest first. Lists leave them out.
	Events []Event `json:"events,omitempty"`
}

// Settled reports whether the instance is what was requested.
func (i Instance) Settled() bool { return string(i.State) == string(i.RequestedState) }

// An Event is something that happened to an instance.
type Event struct {
	Index uint64    `json:"index" doc:"position in the ledger"`
	At    time.Time `json:"at"`
	Kind  string    `json:"kind"`
	Text  string    `json:"text"`
}

// A StateInput is the body of a change of state.
type StateInput struct {
	State RequestedState `json:"state" enum:"started,stopped,destroyed"`
	Keep  string         `json:"keep,omitempty" maxLength:"20" doc:"how long the data of what is destroyed is kept, such as 24h or 7d"`
}

// A LogQuery says which part of the logs is wanted.
type LogQuery struct {
	Follow  bool   // go on with what is written from now on
	Tail    int    // this many last lines of each service; 0 is the default of 100, negative is all
	Service string // only this one; "" is all
}

// A ConnectInput says to which port of an instance.
type ConnectInput struct {
	// Port is its name, its number, or such as "53/udp". "" is the only one. To a
	// port of UDP the connection carries datagrams, each behind its length in 2
	// bytes, big-endian.
	Port string `json:"port,omitempty" maxLength:"64"`
}

// An ExecInput is a program to run inside a partition.
type ExecInput struct {
	Argv []string `json:"argv" minItems:"1" maxItems:"1024"`

	// Terminal is the caller's, if the program is to have one: then all that it
	// says comes as standard output.
	Terminal *Terminal `json:"terminal,omitempty"`

	// Sizes tells when the caller's terminal has another size. It may be nil.
	Sizes <-chan TerminalSize `json:"-"`
}

// A Terminal is what a program needs to know of one.
type Terminal struct {
	Type string       `json:"type" maxLength:"64" doc:"as in TERM"`
	Size TerminalSize `json:"size"`
}

// A TerminalSize is in characters. Zero is unknown.
type TerminalSize struct {
	Rows    uint16 `json:"rows"`
	Columns uint16 `json:"columns"`
}
