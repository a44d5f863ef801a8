package consensus

import (
	"bytes"
	"time"

	"github.com/slapmesh/slapmesh/consensus/logstore"
)

// OpenOn is Open with the log on a given disk.
func OpenOn(cfg Config, t Transport, m Machine, disk logstore.Disk) (*Node, error) {
	return openOn(cfg, t, m, func(_ string, o logstore.Options) (*logstore.Store, error) {
		return logstore.New(disk, o), nil
	})
}

// EncodeEntry and DecodeEntry are the format of the log.
func EncodeEntry(at time.Time, commands [][]byte) ([]byte, error) {
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	return c.encode(at, commands)
}

func DecodeEntry(data []byte) (at time.Time, commands [][]byte, err error) {
	c, err := newCodec()
	if err != nil {
		return time.Time{}, nil, err
	}
	e, err := c.decode(data)
	return e.at(), e.Commands, err
}

// ReadGreeting reads what a stream begins with.
func ReadGreeting(data []byte) (string, error) { return readGreeting(bytes.NewReader(data)) }

// SplitSeat takes a raft id apart; SeatID makes one.
var (
	SplitSeat = splitSeat
	SeatID    = seatID
)

// Snapshot makes the node take a snapshot now.
func (n *Node) Snapshot() error { return n.raft.Snapshot().Error() }

// Cut ends all streams of a node, and lets it have no others.
func Cut(n *Node) error { return n.link.Close() }
