package consensus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/slapmesh/slapmesh/consensus/logstore"
)

// A Node is one seat at the log. Make one with [Open]. Its methods may be
// called by many goroutines.
type Node struct {
	// Set once.
	cfg      Config
	id       string
	codec    codec
	raft     *raft.Raft
	store    *logstore.Store
	link     *link
	wire     *wire
	queue    *queue
	watchers watchers
	settled  atomic.Uint64      // the last term at whose beginning this node led and had applied all
	hangUp   context.CancelFunc // ends dials
	draining chan struct{}      // closed first by Close
	closed   chan struct{}      // closed before the streams are
	loops    sync.WaitGroup
	closing  sync.Once
	closeErr error
}

// keepSnapshots is how many snapshots stay on disk.
const keepSnapshots = 2

// Open takes a seat: it opens what is on disk, restores the machine from it
// and begins to listen to t, which it closes in the end. The node stays
// silent until it is bootstrapped or a leader finds it. Close it when done.
func Open(cfg Config, t Transport, m Machine) (*Node, error) {
	return openOn(cfg, t, m, logstore.Open)
}

func openOn(cfg Config, t Transport, m Machine, openStore func(string, logstore.Options) (*logstore.Store, error)) (*Node, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	dir, err := seatDir(cfg)
	if err != nil {
		return nil, fmt.Errorf("consensus: open %s: %w", cfg.Dir, err)
	}
	n := &Node{
		cfg:      cfg,
		id:       seatID(cfg.Peer, cfg.Seat),
		queue:    newQueue(cfg),
		draining: make(chan struct{}),
		closed:   make(chan struct{}),
	}
	if n.codec, err = newCodec(); err != nil {
		return nil, fmt.Errorf("consensus: open: %w", err)
	}
	logger := newRaftLog(cfg.Log, cfg.Clock, n.draining)
	n.store, err = openStore(dir, logstore.Options{
		Log:          logger,
		WriteTimeout: cfg.WriteTimeout,
		StallAfter:   cfg.StallAfter,
		Early:        n.early,
	})
	if err != nil {
		return nil, fmt.Errorf("consensus: open: %w", err)
	}
	n.link, n.hangUp = newLink(n.id, t)
	if err := n.start(dir, m, logger); err != nil {
		n.hangUp()
		return nil, errors.Join(fmt.Errorf("consensus: open %s: %w", dir, err), n.link.Close(), n.store.Close())
	}
	go n.wire.announcer() // ends when the wire is closed, which is after the others
	for _, loop := range []func(){n.commit, n.detect, n.observe} {
		n.loops.Go(loop)
	}
	n.cfg.Log.Info("took a seat at the log", "peer", cfg.Peer, "seat", cfg.Seat)
	return n, nil
}

// seatDir makes the folder of the seat and removes those of other seats: they
// have nothing to say any more.
func seatDir(cfg Config) (string, error) {
	dir := filepath.Join(cfg.Dir, fmt.Sprintf("seat-%d", cfg.Seat))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "seat-") && e.Name() != filepath.Base(dir) {
			if err := os.RemoveAll(filepath.Join(cfg.Dir, e.Name())); err != nil {
				return "", err
			}
		}
	}
	return dir, nil
}

// start starts raft on the opened store and link.
func (n *Node) start(dir string, m Machine, logger *raftLog) error {
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, keepSnapshots, logger)
	if err != nil {
		return err
	}
	logs, err := raft.NewLogCache(cachedEntries, n.store)
	if err != nil {
		return err
	}
	conf := n.raftConfig(logger)
	n.wire = &wire{
		NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Logger:          logger,
			Stream:          n.link,
			MaxPool:         pooledStreams,
			MaxRPCsInFlight: 1, // overlapping appends can block a follower for ever (raft#612)
			Timeout:         n.cfg.Timing.Call,
		}),
		timing:    n.cfg.Timing,
		disk:      n.store,
		log:       logs.GetLog,
		self:      raft.RPCHeader{ProtocolVersion: conf.ProtocolVersion, ID: []byte(n.id), Addr: []byte(n.id)},
		busy:      n.queue.busy,
		begun:     time.Now(), //nolint:forbidigo // compared with time.Since only
		closed:    n.closed,
		ready:     make(chan struct{}),
		followers: map[raft.ServerID]*follower{},
		news:      make(chan struct{}, 1),
	}
	machine := &fsm{machine: m, codec: n.codec, changed: n.watchers.notify}
	checked := &checkedSnapshots{FileSnapshotStore: snapshots, dir: filepath.Join(dir, "snapshots")}
	if n.raft, err = newRaft(conf, machine, logs, n.store, checked, n.wire); err != nil {
		if !errors.Is(err, ErrDamaged) { // raft does not say why
			err = errors.Join(err, machine.unrestored, checked.Damage(), n.store.Damage())
		}
		return errors.Join(err, n.wire.Close())
	}
	n.wire.raft = n.raft
	close(n.wire.ready)
	if n.votesAlone() {
		n.lookNow()
	}
	return nil
}

const (
	// cachedEntries is how many entries stay in memory for followers that
	// are a little late. Each is a group.
	cachedEntries = 128

	// pooledStreams is how many idle streams are kept to each voter: entries,
	// heartbeats, announcements.
	pooledStreams = 3

	// appendEntries bounds the entries in one message to a follower that is
	// late. Each is a group already.
	appendEntries = 64
)

func (n *Node) raftConfig(logger *raftLog) *raft.Config {
	conf := raft.DefaultConfig()
	conf.LocalID = raft.ServerID(n.id)
	conf.Logger = logger
	conf.HeartbeatTimeout = n.cfg.Timing.Heartbeat
	conf.ElectionTimeout = n.cfg.Timing.Heartbeat + time.Millisecond // see lookNow
	conf.LeaderLeaseTimeout = n.cfg.Timing.Lease
	conf.CommitTimeout = n.cfg.Timing.Commit
	conf.MaxAppendEntries = appendEntries
	conf.ShutdownOnRemove = false
	conf.SnapshotInterval = n.cfg.SnapshotCheck
	conf.SnapshotThreshold = n.cfg.SnapshotEvery
	conf.TrailingLogs = n.cfg.Trailing
	conf.NoLegacyTelemetry = true
	return conf
}

// early tells the store that entries may be sent before they are on this disk:
// when a majority needs another voter, whose acknowledgement [wire] holds back
// until they are. Raft stores entries only from its one main goroutine, which
// alone makes it leader, so for a follower this is never true.
func (n *Node) early() bool {
	select {
	case <-n.wire.ready:
	default:
		return false
	}
	if n.raft.State() != raft.Leader {
		return false
	}
	voters := 0
	for _, s := range n.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter {
			voters++
		}
	}
	return voters > 1
}

// Bootstrap makes the node the only voter of a new log. It does nothing if it
// was called before.
func (n *Node) Bootstrap() error {
	first := raft.Configuration{Servers: []raft.Server{{
		Suffrage: raft.Voter, ID: raft.ServerID(n.id), Address: raft.ServerAddress(n.id),
	}}}
	err := n.raft.BootstrapCluster(first).Error()
	if errors.Is(err, raft.ErrCantBootstrap) && n.seated() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("consensus: bootstrap: %w", err)
	}
	n.lookNow()
	return nil
}

// Failed is closed when the disk of the node has failed or hung for too long.
// The node has no part in the log any more; only opening it anew can mend it.
// [Node.Close] then returns the reason.
func (n *Node) Failed() <-chan struct{} { return n.store.Broken() }

// closePatience is how long Close waits for what is on its way, in units of
// the Heartbeat.
const closePatience = 5

// Close hands leadership to another voter, if it can, ends everything that
// runs, and closes transport and disk. Proposals that wait are refused.
func (n *Node) Close() error {
	n.closing.Do(func() { n.closeErr = n.close() })
	return n.closeErr
}

func (n *Node) close() error {
	n.handOver()
	refuse(n.queue.close(), fmt.Errorf("propose: %w", ErrClosed))
	close(n.draining)
	n.finish(n.loops.Wait)

	close(n.closed)
	stopped := n.raft.Shutdown()
	n.hangUp()
	err := n.wire.Close()
	wait := func() { _ = stopped.Error() }
	gone := n.finish(wait)
	if !gone { // a disk that hangs may hold it
		n.store.Abandon()
		gone = n.finish(wait)
	}
	n.watchers.notify()
	if !gone {
		return errors.Join(err, n.store.Err(), errors.New("consensus: close: gave up waiting"))
	}
	return errors.Join(err, n.store.Close())
}

// finish waits for what should end soon, and reports whether it did.
func (n *Node) finish(wait func()) bool {
	done := make(chan struct{})
	go func() { defer close(done); wait() }()
	timer := time.NewTimer(closePatience * n.cfg.Timing.Heartbeat)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
