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

	// Votes says whether it votes, Voters how many others do: whether they
	// can go on without it.
	Votes  bool `json:"votes,omitempty"`
	Voters int  `json:"other_voters,omitempty"`
}

// spared reports whether the others are a majority without this peer.
func (r seatRecord) spared() bool {
	all := r.Voters
	if r.Votes {
		all++
	}
	return 2*r.Voters > all
}

// alone says why this peer cannot be spared.
func (r seatRecord) alone() string {
	if r.Voters == 0 {
		return "no other peer votes, which could fill it anew"
	}
	return fmt.Sprintf("without it the %d other voters cannot decide anything", r.Voters)
}

// beginSeat remembers a seat, and what is known of it already.
func (f *folder) beginSeat(number uint64) error {
	if r, err := f.seatRecord(); err != nil || r.Seat == number {
		return err
	}
	return writeJSON(f.file("seat.json"), seatRecord{Seat: number})
}

// seatRecord returns what is remembered of this peer's seat; zero if it has
// none.
func (f *folder) seatRecord() (r seatRecord, err error) {
	if err := readJSON(f.file("seat.json"), &r); !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	return r, nil
}

// remember keeps who else votes beside the seat, if that changed.
func (s *seat) remember(f *folder, self mesh.PeerID) error {
	now := seatRecord{Seat: s.number}
	for _, server := range s.node.Servers() {
		switch {
		case !server.Voter:
		case server.Peer == string(self):
			now.Votes = true
		default:
			now.Voters++
		}
	}
	if was, err := f.seatRecord(); err != nil || was == now || was.Seat != now.Seat {
		return err
	}
	return writeJSON(f.file("seat.json"), now)
}

// takeSeat opens the log at a seat. A new seat begins empty.
func (d *Daemon) takeSeat(number uint64, by mesh.PeerID) (*seat, error) {
	if err := d.folder.beginSeat(number); err != nil {
		return nil, fmt.Errorf("seat %d: %w", number, err)
	}
	s := &seat{number: number, since: d.cfg.Clock(), by: by}
	s.Replica = replica.New(replica.Config{Log: d.log.With("part", "ledger"), Journal: d.journal, Mismatched: d.doubted})
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
