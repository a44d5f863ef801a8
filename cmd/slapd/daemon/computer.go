package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/remote"
	"github.com/slapmesh/slapmesh/partition"
	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/protocol"
)

// A computer is this peer as the partition agent sees it: the ledger says
// what is wanted here, and is told what became of it.
type computer struct {
	*Daemon
	self    ledger.ComputerID
	changed <-chan struct{}
	acted   actedRecord
	orders  []order // that were handed to the agent last
}

// An order is what tells one wish for a partition from the next.
type order struct {
	instance  ledger.InstanceID
	order     uint64
	supply    ledger.ReleaseDigest
	requested ledger.SupplyState
}

func ordersOf(w partition.Wanted) []order {
	var out []order
	for _, i := range w.Instances {
		out = append(out, order{instance: i.ID, order: i.Order()})
	}
	for _, s := range w.Supplies {
		out = append(out, order{supply: s.Release, requested: s.Requested})
	}
	return out
}

// An actedRecord is how new the ledger was that the agent acted on last. An
// older one must not be acted on: it knows less than what already stands in
// the partitions.
type actedRecord struct {
	Index uint64 `json:"index"`
}

const actedFile = "acted.json"

// Wanted returns what the ledger wants of this computer, unless this peer's
// copy of it is older than what was acted on before.
func (c *computer) Wanted(context.Context) (partition.Wanted, error) {
	v := c.books.View()
	if _, ok := v.Mesh(); !ok {
		return partition.Wanted{}, errors.New("this peer's copy of the ledger is still empty")
	}
	if _, ok := v.Peer(ledger.PeerID(c.self)); !ok && !c.gone.Load() {
		return partition.Wanted{}, errors.New("this peer's copy of the ledger does not know it yet")
	}
	if v.Index() < c.acted.Index {
		return partition.Wanted{}, fmt.Errorf("this peer's copy of the ledger is at %d and was at %d before: waiting until it has caught up", v.Index(), c.acted.Index)
	}
	w := partition.WantedOf(v, c.self)
	if orders := ordersOf(w); !slices.Equal(orders, c.orders) {
		c.acted.Index, c.orders = v.Index(), orders
		if err := writeJSON(c.folder.file(actedFile), c.acted); err != nil {
			return partition.Wanted{}, fmt.Errorf("remember what was acted on: %w", err)
		}
	}
	return w, nil
}

// Changed implements [partition.Source].
func (c *computer) Changed() <-chan struct{} { return c.changed }

// Report tells the ledger what was observed here.
func (c *computer) Report(ctx context.Context, r ledger.Report) error {
	_, err := c.books.Propose(ctx, remote.Credential{}, r)
	return err
}

// Request asks for what an instance of this computer needs, in the name of
// this peer: the ledger lets it ask for those that run here.
func (c *computer) Request(ctx context.Context, parent ledger.Instance, r release.Request) error {
	s := &service{c.Daemon, caller{principal: ledger.AsPeer(ledger.PeerID(c.self))}}
	in := protocol.RequestInput{
		Release: r.Release, Reference: r.Reference, Parent: parent.ID.String(), Account: string(parent.Account),
		Type: r.Type, Parameters: r.Parameters, Filter: r.Filter,
	}
	if r.Shared {
		in.Shared = &r.Shared
	}
	_, err := s.Request(ctx, in)
	return err
}

// openComputer opens the partitions of this computer.
func (d *Daemon) openComputer(ctx context.Context) error {
	host := d.cfg.Host
	if host == nil {
		computer, err := d.openHost(ctx)
		if err != nil {
			return err
		}
		metered, err := d.openMeter(computer)
		if err != nil {
			return err
		}
		d.closers = append(d.closers, metered.close)
		d.loops = append(d.loops, loop{"meter", metered.run(d.books)}, loop{"metrics", metered.poller.Run})
		computer.Mover = &mover{d, computer}
		host, d.metered = metered, metered
	}
	d.partitions = host
	changed, stop := d.books.Subscribe(ledger.TopicComputer(ledger.ComputerID(d.mesh.Self())))
	d.closers = append(d.closers, func() error { stop(); return nil })
	c := &computer{Daemon: d, self: ledger.ComputerID(d.mesh.Self()), changed: changed}
	if err := readJSON(d.folder.file(actedFile), &c.acted); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if d.metered != nil && d.metered.OwnNetwork() {
		keeper := &entranceKeeper{
			self: d.mesh.Self(), computer: d.host, host: d.metered, books: d.books, dial: d.dialTunnel, log: d.log.With("part", "entrances"),
			kicked: make(chan struct{}, 1), news: make(map[ledger.InstanceID]partition.Result), fresh: make(map[ledger.InstanceID]bool),
			last: make(map[ledger.InstanceID][]entrance), again: make(map[ledger.InstanceID]bool), tunnels: make(map[ledger.InstanceID]*exit),
		}
		d.loops = append(d.loops, loop{"entrances", keeper.run})
		host = announcingHost{host, keeper.launched}
	}
	var err error
	d.agent, err = partition.NewAgent(partition.Config{
		Source: c, Reporter: c, Host: host, Requester: c, Clock: d.cfg.Clock, Log: d.log.With("part", "partitions"),
	})
	if err != nil {
		return err
	}
	d.loops = append(d.loops, loop{"partitions", d.agent.Run}, loop{"offer", d.runOffer})
	return nil
}
