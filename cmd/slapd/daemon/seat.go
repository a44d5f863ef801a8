package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"github.com/slapmesh/slapmesh/consensus"
	"github.com/slapmesh/slapmesh/ledger/remote"
	"github.com/slapmesh/slapmesh/ledger/replica"
	"github.com/slapmesh/slapmesh/mesh"
)

// A seat is this peer's part in consensus: a node of the log and the replica
// that it drives. A peer without one is a member.
type seat struct {
	*replica.Replica
	number uint64
	server *remote.Server // for other peers
	since  time.Time
	by     mesh.PeerID // who offered it
	node   *consensus.Node
}

// seatRecord is what the state folder remembers of a seat.
type seatRecord struct {
	Seat uint64 `json:"seat"`
}

// rememberedSeat returns the seat that this peer had when it ended, or 0.
func (f *folder) rememberedSeat() (uint64, error) {
	var r seatRecord
	err := readJSON(f.file("seat.json"), &r)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return r.Seat, err
}

// takeSeat opens the log at a seat. A new seat begins empty.
func (d *Daemon) takeSeat(number uint64, by mesh.PeerID) (*seat, error) {
	if err := writeJSON(d.folder.file("seat.json"), seatRecord{number}); err != nil {
		return nil, fmt.Errorf("seat %d: %w", number, err)
	}
	s := &seat{number: number, since: d.cfg.Clock(), by: by}
	s.Replica = replica.New(replica.Config{Log: d.log.With("part", "ledger"), Journal: d.journal, Mismatched: d.mismatched})
	var err error
	if s.server, err = d.books.newServer(s); err != nil {
		return nil, fmt.Errorf("seat %d: %w", number, err)
	}
	s.node, err = consensus.Open(consensus.Config{
		Peer:   string(d.mesh.Self()),
		Seat:   number,
		Dir:    d.folder.file("consensus"),
		Clock:  d.cfg.Clock,
		Timing: d.cfg.Timing,
		Log:    d.log.With("part", "consensus"),
	}, raftTransport{d.mesh, d.mesh.Listen(mesh.KindRaft)}, s.Replica)
	if err != nil {
		return nil, fmt.Errorf("seat %d: %w", number, err)
	}
	s.Attach(s.node)
	return s, nil
}

// leaveSeat closes the log and forgets it, for a peer that is no longer asked
// to keep it there. The CA's key stays: the peer may have another seat next.
func (d *Daemon) leaveSeat(s *seat) error {
	return errors.Join(s.node.Close(), os.Remove(d.folder.file("seat.json")), os.RemoveAll(d.folder.file("consensus")))
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// raftTransport carries consensus over mesh streams.
type raftTransport struct {
	mesh *mesh.Mesh
	net.Listener
}

// Dial implements [consensus.Transport].
func (t raftTransport) Dial(ctx context.Context, peer string) (net.Conn, error) {
	return t.mesh.Dial(ctx, mesh.PeerID(peer), mesh.KindRaft)
}
