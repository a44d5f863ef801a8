package mesh

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/slapmesh/slapmesh/mesh/relay"
)

// A Config says which peer to be and how. Identity, Credentials, Clock and
// either Socket or Listen are required.
type Config struct {
	Identity    *Identity
	Credentials Credentials

	// Socket carries everything; the Mesh closes it, and a failed Open may
	// have closed it. Nil: one is bound to Listen.
	Socket net.PacketConn
	// Listen is the HOST:PORT to bind when there is no Socket. Default
	// ":7527"; port 0 picks one.
	Listen string
	// Advertise lists where others reach this peer. Default: the addresses of
	// this computer's interfaces with the port of the socket.
	Advertise []string
	// Name is what people call the peer. It need not be unique.
	Name string
	// Host is an opaque id of the network namespace: peers that share it
	// reach one another over the loopback.
	Host string
	// NoPortMapping keeps this peer from asking the router for a port that
	// leads here. It asks only once it is seen at another address than its own.
	NoPortMapping bool
	// NoRelay keeps this peer from carrying packets between others that cannot
	// reach one another; Relay bounds what it carries otherwise.
	NoRelay bool
	Relay   relay.Limits
	// Dir is the state folder, where known peers and renewed certificates are
	// kept. Default: nowhere.
	Dir string

	// Admitter decides who may join through this peer. Nil: nobody.
	Admitter Admitter
	// Authorize decides whether a peer may open a stream of a kind. It is
	// asked for every stream and must answer at once. Nil: every member may.
	Authorize func(PeerID, Kind) error
	// Revoked tells who was removed from the mesh. It is asked at every
	// handshake and must answer at once. Nil: nobody.
	Revoked func(PeerID) bool
	// Known tells whom the ledger knows as a member. It says so of peers whose
	// certificates do not say all that they do now. It must answer at once.
	// Nil: nobody.
	Known func(PeerID) bool
	// Removed is called when a peer, whose certificate was checked, says that
	// its own Revoked tells of this peer. Whether it is to be believed is for
	// the callee: a peer may lie. It may be called often, and must not block.
	// Nil: nobody is told.
	Removed func(by PeerID)
	// Renew fetches a new certificate for the key. It is called when two
	// thirds of the present one's life are over, and again after a while if
	// it fails. Where it fails once the present one has expired, as no peer
	// lets this one in any more, it is asked for at the doors of all that are
	// known. Nil: certificates are left to expire.
	Renew func(context.Context, ed25519.PublicKey) (certificateDER []byte, err error)

	// Discover looks for peers of this mesh on the local network and returns
	// HOST:PORT of those that answer. It is asked when no known peer is where it
	// was. Nil: nobody is found so.
	Discover func(context.Context) []string

	// Clock tells the time for certificates and clocks of others.
	Clock func() time.Time
	// Log receives what happens. Default: nothing is logged.
	Log *slog.Logger
	// Profile fits timing to the network. Default: LAN.
	Profile Profile
}

// withDefaults returns a completed copy of c, or says what is missing.
func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Identity == nil:
		return c, errors.New("mesh: config: Identity required")
	case c.Clock == nil:
		return c, errors.New("mesh: config: Clock required")
	case !printable(c.Name, maxNameSize):
		return c, fmt.Errorf("mesh: config: Name %q is not 0 to %d bytes of plain text", c.Name, maxNameSize)
	}
	if c.Admitter == nil {
		c.Admitter = nobody{}
	}
	if c.Authorize == nil {
		c.Authorize = func(PeerID, Kind) error { return nil }
	}
	if c.Revoked == nil {
		c.Revoked = func(PeerID) bool { return false }
	}
	if c.Known == nil {
		c.Known = func(PeerID) bool { return false }
	}
	if c.Discover == nil {
		c.Discover = func(context.Context) []string { return nil }
	}
	if c.Removed == nil {
		c.Removed = func(PeerID) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Listen = cmp.Or(c.Listen, fmt.Sprintf(":%d", DefaultPort))
	c.Profile = c.Profile.withDefaults()
	return c, nil
}

// A Profile fits the mesh's timing to a network. Zero fields are those of
// LAN.
type Profile struct {
	// GossipInterval and GossipNodes say how fast news spreads: to how many
	// peers, how often. Nothing is sent while there is no news.
	GossipInterval time.Duration
	GossipNodes    int
	// ProbeInterval is how often one other peer is probed, ProbeTimeout how
	// long its answer may take. A peer that does not answer is failed after
	// SuspicionMult × log10(peers that gossip) × ProbeInterval more, and no
	// less than SuspicionMult × ProbeInterval.
	ProbeInterval time.Duration
	ProbeTimeout  time.Duration
	SuspicionMult int
	// Pool is how many peers gossip with one another before others attach to
	// them.
	Pool int
	// PushPullInterval is how often two peers compare all they know.
	PushPullInterval time.Duration
	// Rejoin is how often peers that were lost are tried again.
	Rejoin time.Duration

	// Handshake bounds the making of a connection, Open that of a stream.
	Handshake time.Duration
	Open      time.Duration
	// Ping is how long a connection with open streams may be silent before
	// it is probed. After three probes without an answer it is closed.
	Ping time.Duration
	// Idle is how long a connection without streams is kept.
	Idle time.Duration
}

// LAN is for one building or one machine: a killed peer is noticed within
// seconds.
func LAN() Profile {
	return Profile{
		GossipInterval:   100 * time.Millisecond,
		GossipNodes:      4,
		ProbeInterval:    time.Second,
		ProbeTimeout:     500 * time.Millisecond,
		SuspicionMult:    2,
		Pool:             32,
		PushPullInterval: 30 * time.Second,
		Rejoin:           10 * time.Second,
		Handshake:        3 * time.Second,
		Open:             time.Second,
		Ping:             300 * time.Millisecond,
		Idle:             45 * time.Second,
	}
}

// WAN is for peers in different places: it gives slow links more time and
// home lines fewer packets.
func WAN() Profile {
	p := LAN()
	p.GossipInterval = 200 * time.Millisecond
	p.ProbeInterval = 1500 * time.Millisecond
	p.ProbeTimeout = time.Second
	p.PushPullInterval = time.Minute
	p.Rejoin = 30 * time.Second
	p.Handshake = 6 * time.Second
	p.Open = 3 * time.Second
	p.Ping = 3 * time.Second
	return p
}

// withDefaults returns a copy whose zero fields are those of LAN.
func (p Profile) withDefaults() Profile {
	d := LAN()
	return Profile{
		GossipInterval:   cmp.Or(p.GossipInterval, d.GossipInterval),
		GossipNodes:      cmp.Or(p.GossipNodes, d.GossipNodes),
		ProbeInterval:    cmp.Or(p.ProbeInterval, d.ProbeInterval),
		ProbeTimeout:     cmp.Or(p.ProbeTimeout, d.ProbeTimeout),
		SuspicionMult:    cmp.Or(p.SuspicionMult, d.SuspicionMult),
		Pool:             cmp.Or(p.Pool, d.Pool),
		PushPullInterval: cmp.Or(p.PushPullInterval, d.PushPullInterval),
		Rejoin:           cmp.Or(p.Rejoin, d.Rejoin),
		Handshake:        cmp.Or(p.Handshake, d.Handshake),
		Open:             cmp.Or(p.Open, d.Open),
		Ping:             cmp.Or(p.Ping, d.Ping),
		Idle:             cmp.Or(p.Idle, d.Idle),
	}
}
