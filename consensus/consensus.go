// Package consensus keeps one ordered, durable log of commands on every voter
// and feeds it to a [Machine]. It gives commands an order; it does not know
// what they mean, nor how bytes reach the other peers.
//
// [Open] starts a [Node]. The first voter of a new mesh calls
// [Node.Bootstrap]; all others are added by the leader, first without a vote
// ([Node.AddStandby]), then with one ([Node.Promote]). [Node.Propose] orders a
// command.
//
// # Promises
//
// A command for which Propose returned without error is applied exactly once,
// by every node, in the same place; it survives the loss of any minority of
// voters and of the power of all. An error that is [ErrAmbiguous] means that
// it may or may not be applied; any other means that it will not be.
//
// A place at the table is a seat: a peer and a number. A seat is never used
// twice, and each begins empty, so a disk that comes back from the past has
// nothing to vote with.
//
// # Elsewhere
//
// Who should vote is decided in package voters; how the log meets the disk is
// package logstore; what commands mean is the ledger's business.
package consensus

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// A Machine is the state that the log drives. Its methods are called one at
// a time.
type Machine interface {
	// Apply executes one committed group of commands and returns one reply
	// for each, for whoever proposed it. The leader stamped the group with
	// the time at; times of successive groups may run back. The effect must
	// depend on nothing but the groups before. index is that of the log
	// entry; it grows, with gaps. The slices belong to the machine.
	Apply(index uint64, at time.Time, commands [][]byte) (replies [][]byte)

	// Snapshot captures the state cheaply; the log waits for it. The copy is
	// written later, while Apply goes on. It may never be.
	Snapshot() (io.WriterTo, error)

	// Restore replaces the state by what Snapshot wrote.
	Restore(r io.Reader) error
}

// A Transport reaches the other peers. Package mesh provides one. Connections
// are ordered and reliable, and both ends know who the other is: whom Accept
// lets in, consensus trusts as a voter.
type Transport interface {
	// Dial connects to the node of a peer.
	Dial(ctx context.Context, peer string) (net.Conn, error)

	// Accept returns the next connection that another peer dialled.
	Accept() (net.Conn, error)

	// Close makes Accept return. Connections stay as they are.
	Close() error
}

var (
	// ErrAmbiguous is wrapped by errors of proposals that may take effect or
	// not: leadership was lost, or the caller gave up, while they were on
	// their way.
	ErrAmbiguous = errors.New("outcome unknown")

	// ErrNotLeader is matched by every [*NotLeaderError].
	ErrNotLeader = errors.New("not the leader")

	// ErrClosed is wrapped by what a closed node returns.
	ErrClosed = errors.New("node closed")

	// ErrTooLarge is wrapped when a command is larger than a group may be.
	ErrTooLarge = errors.New("command too large")

	// ErrBusy is wrapped when too many commands wait already.
	ErrBusy = errors.New("too many commands waiting")

	// ErrBehind is wrapped when a standby cannot be promoted yet because it
	// has not got the log.
	ErrBehind = errors.New("standby is behind")

	// ErrSeat is wrapped when a change does not fit the seats that are taken.
	ErrSeat = errors.New("wrong seat")
)

// A NotLeaderError refuses what only the leader does. Nothing has happened.
type NotLeaderError struct {
	// Leader is the peer to ask instead, or "" if none is known.
	Leader string
}

func (e *NotLeaderError) Error() string {
	if e.Leader == "" {
		return "not the leader: none is known"
	}
	return "not the leader: ask " + e.Leader
}

// Is reports whether target is [ErrNotLeader].
func (e *NotLeaderError) Is(target error) bool { return target == ErrNotLeader }
