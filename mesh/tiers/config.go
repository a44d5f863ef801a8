package tiers

import (
	"cmp"
	"log/slog"
	"net"
	"time"
)

// A Network reaches other peers.
type Network interface {
	// Open opens a stream to a peer, whose other end is handed to its Serve.
	// It fails after the timeout, or when the network closes.
	Open(peer string, timeout time.Duration) (net.Conn, error)
	// Heard counts the packets that came over the connection that is held to
	// a peer; ok is false if there is none. It must answer at once.
	Heard(peer string) (packets uint64, ok bool)
	// Ping asks a peer for a packet, over the connection that is held. It
	// must not block.
	Ping(peer string)
}

// A Pool gossips.
type Pool interface {
	// Join begins to gossip with the peers, or alone if there are none.
	Join(peers []string)
	// Leave ends all gossip, and tells the others.
	Leave()
}

// A Book keeps what is known of peers. It must answer at once and not call
// back.
type Book interface {
	// Put takes a descriptor that another peer sent, and says whose it is.
	Put(descriptor []byte) (peer string, err error)
	// Descriptor returns the newest one known of a peer.
	Descriptor(peer string) (descriptor []byte, seq uint64, hidden, ok bool)
	// Mark notes whether a peer is there.
	Mark(peer string, alive bool)
}

// A Config says who takes part and how. Self, Network, Pool, Book, Clock and
// Hidden are required.
type Config struct {
	Self    string
	Network Network
	Pool    Pool
	Book    Book
	Clock   func() time.Time
	// Hidden reports whether others need help to reach this peer.
	Hidden func() bool
	// Spawn starts a goroutine that the owner waits for. Default: go.
	Spawn func(func())
	Log   *slog.Logger

	// Least is how many peers gossip before others attach. Default 32.
	Least int
	// Holders is how many peers hold an attached one. Default 2.
	Holders int
	// Beat is how often something is heard over a connection that holds a
	// peer; after Silence the peer is given up. Defaults 2 s and 5 s.
	Beat, Silence time.Duration
	// Grace is how long the claims of a peer that failed count: within it
	// those that it held find another. Default 6 s.
	Grace time.Duration
	// Again is how often an attached peer says who it is. Default 15 s.
	Again time.Duration
	// Gather is how long changes are gathered before they are told. Default
	// 50 ms.
	Gather time.Duration
	// Timeout bounds one exchange. Default 5 s.
	Timeout time.Duration
}

const (
	// maxHeld is how many peers one holds.
	maxHeld = 1024
	// holdersByDefault is how many hold one.
	holdersByDefault = 2
	// review is how often a peer looks whether it belongs where it is.
	review = 10 * time.Second
	// tick is how often all is looked at.
	tick = time.Second
)

func (c Config) withDefaults() Config {
	if c.Spawn == nil {
		c.Spawn = func(f func()) { go f() }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Least = cmp.Or(c.Least, 32)
	c.Holders = cmp.Or(c.Holders, holdersByDefault)
	c.Beat = cmp.Or(c.Beat, 2*time.Second)
	c.Silence = cmp.Or(c.Silence, 5*time.Second)
	c.Grace = cmp.Or(c.Grace, 6*time.Second)
	c.Again = cmp.Or(c.Again, 15*time.Second)
	c.Gather = cmp.Or(c.Gather, 50*time.Millisecond)
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	return c
}
