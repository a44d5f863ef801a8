// Package daemon is one running slapd. It is the one place where the layers
// are wired: the mesh carries, consensus orders, the ledger decides, the
// partition agent does, and the protocol answers.
//
// [Found] or [Join] prepares a state folder once; [Open] brings a peer up from
// it and [Daemon.Run] runs it until it is told to stop. Instances go on
// without it.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slapmesh/slapmesh/consensus"
	"github.com/slapmesh/slapmesh/consensus/voters"
	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/journal"
	"github.com/slapmesh/slapmesh/ledger/journal/exchange"
	"github.com/slapmesh/slapmesh/mesh"
	"github.com/slapmesh/slapmesh/mesh/tunnel"
	"github.com/slapmesh/slapmesh/partition"
	"github.com/slapmesh/slapmesh/partition/catalog"
	"github.com/slapmesh/slapmesh/partition/taste"
	"github.com/slapmesh/slapmesh/protocol/rest"
)

// Config says how a peer runs. Dir, Clock and Log are required.
type Config struct {
	// Dir is the state folder.
	Dir string

	// Clock tells the time.
	Clock func() time.Time

	// Log receives what an operator should know.
	Log *slog.Logger

	// Version is this program's, for status. Default "dev".
	Version string

	// Binary is the path of slapd, which is started again inside partitions.
	Binary string

	// Cache is a folder for downloaded packages that several peers of one
	// computer may share. Default: one in Dir.
	Cache string

	// Mesh, Timing and Voters fit the peer to its network. Their zero values
	// suit a building or a city.
	Mesh   mesh.Profile
	Timing consensus.Timing
	Voters voters.Policy

	// Seeds are peers to start with, from [Join].
	Seeds []mesh.Descriptor

	// Socket, Control and API stand in for the sockets that the settings
	// name. Whoever can connect to this Control acts for the peer.
	Socket  net.PacketConn
	Control net.Listener
	API     net.Listener

	// Host stands in for the partitions of this computer. Default: real ones.
	Host partition.Host
}

// A Daemon is one running peer. Its parts are opened in the order below, each
// resting on those before it, and closed in reverse.
type Daemon struct {
	cfg      Config
	log      *slog.Logger
	settings Settings
	started  time.Time

	folder   *folder
	identity *mesh.Identity
	signs    func(message []byte) []byte // as this peer
	mesh     *mesh.Mesh
	rpc      *rpc
	books    *books
	journal  *journal.Journal // history, for as far as this peer has it
	history  *exchange.Exchange

	doubt atomic.Pointer[error] // why the replica does not trust the journal
	rot   chan error            // what is damaged in the store of the journal

	verifying sync.Mutex // one reads all of history at a time
	agent     *partition.Agent
	tunnels   *tunnel.Manager
	rest      *rest.Server
	control   net.Listener
	api       net.Listener

	meshName    string
	paces       paces  // of instances of this computer
	host        string // of this computer's network namespace
	grade       string // of its partitions
	gradeReason string
	egress      bool // its partitions may have a way out to the Internet
	apiAddress  string
	shelf       shelf
	taster      *taste.Taster
	quiet       atomic.Pointer[[]ledger.ComputerID]

	stopping chan struct{} // closed when the peer begins to stop
	stop     func()
	gone     atomic.Bool // it left the mesh: the folder is to be emptied
	removed  atomic.Pointer[removal]
	expelled chan struct{} // closed when removed is set
	rumours  chan mesh.PeerID

	partitions partition.Host
	metered    *meteredHost // the same, if it is this computer
	trees      *trees       // that are built here; nil if the computer is another's

	closers []func() error // to be run last to first
	loops   []loop
}

// A loop is something that runs for as long as the peer does.
type loop struct {
	name string
	run  func(context.Context) error
}

// blame says in which loop an error was, unless it is about the whole peer.
func (l loop) blame(err error) error {
	if l.name == membership {
		return err
	}
	return fmt.Errorf("%s: %w", l.name, err)
}

// Open brings up a peer from its state folder. On error nothing stays open.
func Open(ctx context.Context, cfg Config, given Settings) (_ *Daemon, err error) {
	d := &Daemon{cfg: cfg, log: cfg.Log, host: hostID(), stopping: make(chan struct{}), expelled: make(chan struct{}), rumours: make(chan mesh.PeerID, 1), started: cfg.Clock()}
	d.taster = &taste.Taster{Program: cfg.Binary, Trusts: catalog.Has}
	d.rot = make(chan error, 1)
	d.stop = sync.OnceFunc(func() { close(d.stopping) })
	if d.cfg.Version == "" {
		d.cfg.Version = "dev"
	}
	defer func() { //nolint:contextcheck // ctx may be why it failed
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	for _, open := range []func(context.Context) error{
		func(context.Context) error { return d.openFolder(given) },
		d.openMesh,
		d.openBooks,
		d.openComputer,
		d.openTrees,
		d.openHandover,
		d.openTunnels,
		d.openDoors,
	} {
		if err := open(ctx); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *Daemon) openFolder(given Settings) (err error) {
	if d.folder, err = openFolder(d.cfg.Dir); err != nil {
		return err
	}
	d.closers = append(d.closers, d.folder.Close)
	if err := d.folder.checkRemoved(); err != nil {
		return err
	}
	d.settings, err = d.folder.remember(given)
	return err
}

func (d *Daemon) openMesh(ctx context.Context) error {
	credentials, err := mesh.LoadCredentials(d.folder.path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("state folder %s: belongs to no mesh yet: found one with \"slapd init\" or join one with \"slapd join HOST:PORT --token T\"", d.folder.path)
	}
	if err != nil {
		return err
	}
	identity, err := mesh.LoadOrCreateIdentity(d.folder.path)
	if err != nil {
		return err
	}
	socket := d.cfg.Socket
	if socket == nil {
		if socket, err = mesh.Bind(d.settings.Listen); err != nil {
			return err
		}
	}
	// The books are asked by the mesh from the first stream on, and need the
	// mesh themselves: they are made empty first and opened after it.
	if d.books, err = newBooks(d, identity.ID()); err != nil {
		return errors.Join(err, socket.Close())
	}
	d.meshName, d.identity, d.signs = credentials.MeshName, identity, identity.Sign
	d.mesh, err = mesh.Open(mesh.Config{ //nolint:contextcheck // a mesh outlives the call
		Identity:    identity,
		Credentials: credentials,
		Socket:      socket,
		Advertise:   d.settings.Advertise,

		NoRelay:       d.settings.NoRelay != nil && *d.settings.NoRelay,
		NoPortMapping: d.settings.NoPortMapping != nil && *d.settings.NoPortMapping,
		Relay:         d.settings.relayLimits(),

		Name:      d.settings.Name,
		Host:      d.host,
		Dir:       d.folder.path,
		Admitter:  d,
		Authorize: d.authorize,
		Revoked:   d.revoked,
		Known:     d.known,
		Removed:   d.toldRemoved,
		Renew:     d.renew,
		Discover:  d.discover,
		Clock:     d.cfg.Clock,
		Log:       d.log.With("part", "mesh"),
		Profile:   d.cfg.Mesh,
	})
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	d.closers = append(d.closers, d.mesh.Close)
	d.mesh.AddSeeds(d.cfg.Seeds)
	d.rpc = newRPC(d.mesh, d.log.With("part", "rpc"))
	d.rpc.serves = d.throttled(d.rpc.mux)
	d.serveAdmission()
	d.serveSeating()
	d.serveRotation()
	d.serveTickets()
	d.openDiscovery()
	d.loops = append(d.loops, loop{"mesh", d.mesh.Run}, loop{"rpc", d.rpc.Run})
	_ = ctx
	return nil
}

// openDoors lets callers in: on the control socket, the local API and from
// other peers.
func (d *Daemon) openDoors(ctx context.Context) (err error) {
	d.rest = rest.New(rest.Config{Version: d.cfg.Version, Log: d.log.With("part", "api"), Clock: d.cfg.Clock, Metrics: d.metrics})
	passed := d.rest.Handler(d.fresh(d.meshDoor(), ""))
	for _, call := range passedOn {
		d.rpc.mux.Handle(call, passed)
	}
	if d.control = d.cfg.Control; d.control == nil {
		if d.control, err = listenControl(ctx, d.folder.file("slapd.sock")); err != nil {
			return err
		}
	}
	d.closers = append(d.closers, closeListener(d.control))
	if d.api = d.cfg.API; d.api == nil {
		if d.api, err = listenAPI(ctx, d.settings.API); err != nil {
			return err
		}
	}
	d.closers = append(d.closers, closeListener(d.api))
	d.apiAddress = d.api.Addr().String()
	d.loops = append(d.loops,
		loop{"control socket", func(ctx context.Context) error {
			return d.rest.Serve(ctx, d.control, d.fresh(d.controlDoor(), "/v1/status"))
		}},
		loop{"local API", func(ctx context.Context) error { return d.rest.Serve(ctx, d.api, d.fresh(d.apiDoor(), "")) }},
	)
	return nil
}

// closeListener closes a listener that its server may have closed already.
func closeListener(l net.Listener) func() error {
	return func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

// Run runs every loop until one fails, ctx is done or the peer leaves, and
// waits for them all. It returns nil when it was asked to stop.
func (d *Daemon) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-d.stopping:
			cancel(nil)
		case <-ctx.Done():
			d.stop()
		}
	}()
	d.log.Info("peer is up", "peer", d.mesh.Self(), "listen", d.mesh.Addr().String(), "api", d.apiAddress, "dir", d.folder.path)
	var wg sync.WaitGroup
	errs := make([]error, len(d.loops))
	for n, l := range d.loops {
		wg.Go(func() {
			if err := l.run(ctx); err != nil {
				errs[n] = l.blame(err)
			}
			cancel(errs[n]) // a part that ends ends the peer
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// settle leaves the folder of a peer that is no member any more as it should
// be.
func (d *Daemon) settle() error {
	switch r := d.removed.Load(); {
	case d.partitions == nil: // it was not opened so far
	case d.gone.Load():
		return d.wipe()
	case r != nil:
		return d.settleRemoval(r)
	}
	return nil
}

// Close releases what Open took. It may be called once, after Run.
func (d *Daemon) Close() error {
	d.stop()
	var errs []error
	for n, c := range slices.Backward(d.closers) {
		if n == 0 { // all is closed but the folder itself
			errs = append(errs, d.settle())
		}
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}
