package consensus

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Config configures a [Node]. Fields without a default are required.
type Config struct {
	// Peer names this peer for its whole life. It holds no "#".
	Peer string

	// Seat is the number of the seat that this peer takes. Numbers that a
	// peer had before must not come again.
	Seat uint64

	// Dir holds the log and the snapshots, in a folder for each seat. Folders
	// of other seats are removed.
	Dir string

	// Clock stamps the groups. Default: the computer's.
	Clock func() time.Time

	// Timing says how patient the voters are with one another; equal on all
	// of them. Default [LAN].
	Timing Timing

	// SnapshotEvery is how many groups are kept in the log before a snapshot
	// replaces them. Default 8192.
	SnapshotEvery uint64

	// SnapshotCheck is how often that number is looked at, at least. Default
	// 1 minute.
	SnapshotCheck time.Duration

	// Trailing is how many groups are kept behind a snapshot, for those who
	// are just a little late. Default 2048.
	Trailing uint64

	// MaxGroup is how many commands make up one log entry at most. Default
	// 4096.
	MaxGroup int

	// MaxGroupBytes is how large their sum, and so any one command, may be.
	// Default 2 MiB.
	MaxGroupBytes int

	// MaxWaiting is how many commands may wait to be grouped. Default 65536.
	MaxWaiting int

	// WriteTimeout is how long one write to disk may take before the node
	// gives up its disk and its vote; see [Node.Failed]. Default 10s.
	WriteTimeout time.Duration

	// StallAfter is how long a write may take before a leader falls silent,
	// to let another be elected. Default 2s.
	StallAfter time.Duration

	// Log receives what an operator should know. Default: discarded.
	Log *slog.Logger
}

// Timing says how patient voters are. Use [LAN] or [WAN], or values between.
type Timing struct {
	// Heartbeat is how long a silent leader is tolerated. A few times the
	// slowest round trip, and more than the longest pause of a loaded
	// computer.
	Heartbeat time.Duration

	// Lease is how long a leader believes itself without hearing from a
	// majority. At most Heartbeat.
	Lease time.Duration

	// Pace and an eighth of Heartbeat are the time between two heartbeats. Lower
	// bears more lost messages, higher leaves an idle computer asleep.
	Pace time.Duration

	// Lull is how long after a commit its news waits for entries that carry
	// it, before it is sent by itself. A follower for whom somebody waits
	// ([Node.Hasten]) hears at once.
	Lull time.Duration

	// Commit is how often a follower that misses nothing is written to all
	// the same. Commits are announced when they happen; this only repairs an
	// announcement that was lost.
	Commit time.Duration

	// Call is how long one message to another peer, with its answer, may
	// take. A snapshot may take that long for each 256 KiB.
	Call time.Duration
}

// LAN suits voters in one building or city: a lost leader is replaced within
// a second.
func LAN() Timing {
	return Timing{
		Heartbeat: 800 * time.Millisecond,
		Lease:     800 * time.Millisecond,
		Pace:      200 * time.Millisecond,
		Lull:      2 * time.Millisecond,
		Commit:    2 * time.Second,
		Call:      10 * time.Second,
	}
}

// WAN suits voters at homes and offices far apart: it is LAN, five times as
// patient.
func WAN() Timing {
	t := LAN()
	t.Heartbeat = 3 * time.Second
	t.Lease = 3 * time.Second
	t.Pace = 500 * time.Millisecond
	t.Lull = 10 * time.Millisecond
	t.Commit = 10 * time.Second
	t.Call = 30 * time.Second
	return t
}

// withDefaults returns a completed copy of c, or says what is missing.
func (c Config) withDefaults() (Config, error) {
	if c.Clock == nil {
		c.Clock = time.Now //nolint:forbidigo // the default clock
	}
	if c.Timing == (Timing{}) {
		c.Timing = LAN()
	}
	c.SnapshotEvery = cmp.Or(c.SnapshotEvery, 8192)
	c.SnapshotCheck = cmp.Or(c.SnapshotCheck, time.Minute)
	c.Trailing = cmp.Or(c.Trailing, 2048)
	c.MaxGroup = cmp.Or(c.MaxGroup, 4096)
	c.MaxGroupBytes = cmp.Or(c.MaxGroupBytes, 2<<20)
	c.MaxWaiting = cmp.Or(c.MaxWaiting, 1<<16)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	switch {
	case c.Peer == "" || strings.Contains(c.Peer, "#"):
		return c, fmt.Errorf("consensus: config: Peer %q is empty or holds a #", c.Peer)
	case len(c.Peer) > maxPeer:
		return c, fmt.Errorf("consensus: config: Peer is longer than %d bytes", maxPeer)
	case c.Dir == "":
		return c, errors.New("consensus: config: Dir required")
	case c.MaxGroup > maxGroup || c.MaxGroupBytes > maxGroupBytes:
		return c, fmt.Errorf("consensus: config: a group is bounded by %d commands and %d bytes", maxGroup, maxGroupBytes)
	}
	return c, c.Timing.check()
}

// minHeartbeat is about the least that a busy computer bears.
const minHeartbeat = 50 * time.Millisecond

func (t Timing) check() error {
	switch {
	case t.Heartbeat < minHeartbeat:
		return fmt.Errorf("consensus: config: Heartbeat %v is below %v", t.Heartbeat, minHeartbeat)
	case t.Lease > t.Heartbeat || t.Lease < t.Heartbeat/2:
		return fmt.Errorf("consensus: config: Lease %v is not between half of Heartbeat and Heartbeat %v", t.Lease, t.Heartbeat)
	case t.Pace < 0 || t.Pace > t.Heartbeat/4:
		return fmt.Errorf("consensus: config: Pace %v is not within a quarter of Heartbeat %v", t.Pace, t.Heartbeat)
	case t.Lull < 0 || t.Lull > t.Heartbeat/4:
		return fmt.Errorf("consensus: config: Lull %v is not within a quarter of Heartbeat %v", t.Lull, t.Heartbeat)
	case t.Commit < time.Millisecond || t.Call < t.Heartbeat:
		return errors.New("consensus: config: Commit or Call is too short")
	}
	return nil
}
