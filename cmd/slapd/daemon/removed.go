package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/consensus"
	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
)

// A peer that an operator removed is no member any more, for good. It hears
// of it from the others, who end its connections for that reason, or reads it
// in its own log. Then its instances are ended, for they are not the mesh's
// any more; their data stays, for it may be all that is left of it; and the
// daemon ends. What only voters keep is deleted.

// A removal is how this peer was removed. It is kept in the state folder once
// the instances have ended, so that the next run need not ask.
type removal struct {
	Mesh   string      `json:"mesh"`
	By     mesh.PeerID `json:"by,omitempty"` // whose ledger says so; this peer's own, if it is empty
	ByName string      `json:"by_name,omitempty"`
	At     time.Time   `json:"at"` // when it was heard
}

const removedFile = "removed.json"

// membership is the loop whose error is about the whole peer.
const membership = "membership"

// error says what happened and what to do.
func (r removal) error(f *folder) error {
	says := "its own log says so"
	if r.By != "" {
		says = fmt.Sprintf("peer %s says so", cmp.Or(r.ByName, r.By.Short()))
	}
	return fmt.Errorf("this computer was removed from mesh %s (%s): its instances are ended, their data is kept in %s: "+
		"to join again, ask for a new token and use a new state folder (slapd join HOST:PORT --token T --dir NEW); to be rid of the data, delete %s",
		r.Mesh, says, f.file("partitions"), f.path)
}

// checkRemoved refuses the folder of a peer that was removed.
func (f *folder) checkRemoved() error {
	var r removal
	switch err := readJSON(f.file(removedFile), &r); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return r.error(f)
}

// toldRemoved hears from another peer that this one was removed. Only those
// are believed that may keep the ledger, as far as this peer knows: it is
// they who hold the mesh's CA. That a peer was removed never changes, so it
// does not matter how new their copy is. What others say is a rumour.
func (d *Daemon) toldRemoved(by mesh.PeerID) {
	if err := d.mayVote(by); err != nil {
		d.log.Debug("a peer says that this one was removed, and is not believed", "peer", by, "err", err)
		if d.mayTell(by) != nil {
			return
		}
		select {
		case d.rumours <- by:
		default: // there is one to look into already
		}
		return
	}
	d.wasRemoved(by)
}

// unread is after how long a rumour is believed by a peer that has read
// nothing of the ledger meanwhile, and so knows nobody who may vote: any
// voter that does not think the same would have let it read at once.
const unread = 10 * time.Second

// wasRemoved has the peer end, because the ledger of by says that it was
// removed, or its own, if by is empty.
func (d *Daemon) wasRemoved(by mesh.PeerID) {
	v := d.books.View()
	m, _ := v.Mesh()
	p, _ := v.Peer(ledger.PeerID(by))
	r := &removal{Mesh: cmp.Or(m.Name, d.meshName), By: by, ByName: p.Name, At: d.cfg.Clock()}
	if d.removed.CompareAndSwap(nil, r) {
		d.log.Error("this computer was removed from the mesh: its instances are ended and their data is kept; to join again, ask for a new token and use a new state folder",
			"mesh", r.Mesh, "by_ledger_of", by, "name", p.Name)
		close(d.expelled)
	}
}

// runMembership fails when this peer was removed: as it is told, or as its
// own log says.
func (d *Daemon) runMembership(ctx context.Context) error {
	changed, stop := d.books.Subscribe(ledger.TopicMembers())
	defer stop()
	rumour, by := time.NewTimer(unread), mesh.PeerID("")
	rumour.Stop()
	defer rumour.Stop()
	for d.removed.Load() == nil {
		if s := d.books.Seat(); s != nil {
			if self, _ := s.View().Peer(ledger.PeerID(d.mesh.Self())); self.Revoked {
				d.wasRemoved("")
				break
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-d.expelled:
		case teller := <-d.rumours:
			if by == "" {
				by = teller
				rumour.Reset(unread)
			}
		case <-rumour.C:
			if _, read := d.books.View().Mesh(); !read {
				d.wasRemoved(by)
			}
			by = ""
		}
	}
	answered := time.NewTimer(goodbye)
	defer answered.Stop()
	select {
	case <-ctx.Done():
	case <-answered.C:
	}
	return d.removed.Load().error(d.folder)
}

// settleRemoval ends the instances of a peer that was removed, deletes what
// it kept as a voter, and remembers that this is done. Their data stays.
func (d *Daemon) settleRemoval(r *removal) error {
	ctx, cancel := context.WithTimeout(context.Background(), wipeTimeout) //nolint:forbidigo // Run's context has ended by now
	defer cancel()
	places, err := d.partitions.Look(ctx)
	errs := []error{err}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for n := range places {
		wg.Go(func() {
			if err := d.partitions.Stop(ctx, n); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("end what runs in %s: %w", ledger.PartitionName(n), err))
			}
		})
	}
	wg.Wait()
	for _, name := range []string{"ca.key", "ca.next", "seat.json", "consensus"} {
		errs = append(errs, os.RemoveAll(d.folder.file(name)))
	}
	if err := errors.Join(errs...); err != nil {
		return err // the next run is told again, and tries again
	}
	return writeJSON(d.folder.file(removedFile), r)
}

// mayTell refuses a peer whose word on the ledger this one should not take: it
// could make up all that it shows. The ledger says who keeps it. Of peers that
// this peer's copy does not know, and where that is so old, or so empty, that
// none of its voters is here, the CA's word counts, which is as old as a
// certificate.
func (d *Daemon) mayTell(peer mesh.PeerID) error {
	err := d.mayVote(peer)
	if err == nil {
		return nil
	}
	v := d.books.View()
	p, known := v.Peer(ledger.PeerID(peer))
	switch _, read := v.Mesh(); {
	case p.Revoked:
		return err
	case !read && !d.mesh.Vouched(): // a mesh of before the CA said so
		return nil
	case d.mesh.Keeper(peer) && (!known || !d.seesVoters(v)):
		return nil
	}
	return err
}

// seesVoters reports whether another peer is here that the ledger lets vote.
func (d *Daemon) seesVoters(v *ledger.State) bool {
	for _, m := range d.mesh.Members() {
		p, ok := v.Peer(ledger.PeerID(m.ID))
		if ok && p.Role == ledger.RoleVoter && !p.Revoked && m.State == mesh.StateAlive && m.ID != d.mesh.Self() {
			return true
		}
	}
	return false
}

// mayVote refuses a peer that may not keep the ledger. While this peer has
// not read its own ledger yet, after a start, those that its log names as
// servers will do.
func (d *Daemon) mayVote(peer mesh.PeerID) error {
	p, known := d.books.View().Peer(ledger.PeerID(peer))
	switch {
	case p.Revoked:
		return fmt.Errorf("peer %s was removed from the mesh", peer.Short())
	case known && p.Role == ledger.RoleVoter:
		return nil
	case known:
		return fmt.Errorf("peer %s has the role %s and may not vote", peer.Short(), p.Role)
	}
	s := d.books.Seat()
	if s != nil && (s.by == peer || slices.ContainsFunc(s.node.Servers(), func(o consensus.Server) bool { return o.Peer == string(peer) })) {
		return nil
	}
	return fmt.Errorf("peer %s is not known to vote", peer.Short())
}
