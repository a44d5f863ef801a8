package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/slapmesh/slapmesh/consensus"
	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/journal"
	"github.com/slapmesh/slapmesh/ledger/journal/exchange"
	"github.com/slapmesh/slapmesh/ledger/replica"
	"github.com/slapmesh/slapmesh/mesh"
)

// A peer that keeps the ledger, and whose copy differs from what most others
// have, stops: the fault is here, of a disk or of a program. What it holds is
// set aside when it starts again, without a seat, as a newcomer; the leader
// gives it a new one, and the others fill that.

// A DamagedError says that this peer's copy of the ledger is not that of the
// others. Whoever opens the daemon again has it filled anew.
type DamagedError struct{ Why error }

func (e *DamagedError) Error() string {
	return fmt.Sprintf("this peer's copy of the ledger is damaged, and is filled anew from the others: %v", e.Why)
}

// Unwrap returns what showed it.
func (e *DamagedError) Unwrap() error { return e.Why }

// asideDir is where a damaged copy is kept for a person to look at: one, the
// last.
const asideDir = "damaged"

// refillEvery is how soon a copy is filled anew again at the earliest: what is
// damaged again at once is no passing fault of a disk, and a person must look.
const refillEvery = 10 * time.Minute

// A damage is what the state folder remembers of a damaged copy.
type damage struct {
	Why string    `json:"why"`
	At  time.Time `json:"at"`
}

func (f *folder) damageFile() string { return f.file("damaged.json") }

// contradicted notes that this peer's copy is not that of the others, so that
// it is filled anew at the next start. It returns a DamagedError, or, where
// nobody could say who is right, why itself.
func (d *Daemon) contradicted(why error) error {
	if len(d.otherSeats()) < 2 {
		return why
	}
	return d.damaged(why)
}

// unreadable is contradicted for a copy of which the disk holds something else
// than what was written: who is right is no question, but whether the others
// can go on without this peer is.
func (d *Daemon) unreadable(why error) error {
	r, err := d.folder.seatRecord()
	switch {
	case err != nil:
		return errors.Join(why, err)
	case r.Seat > 0 && !r.spared():
		return fmt.Errorf("this peer's copy of the ledger is damaged, and nothing was changed, for %s: put the state folder %s back from a backup, or see what its disk still has: %w",
			r.alone(), d.folder.path, why)
	}
	return d.damaged(why)
}

// damaged notes that what this peer has of the ledger is to be filled anew, and
// returns a DamagedError; or why itself, if it was filled anew just now.
func (d *Daemon) damaged(why error) error {
	var last damage
	err := readJSON(filepath.Join(d.folder.file(asideDir), "damaged.json"), &last)
	switch now := d.cfg.Clock(); {
	case err == nil && now.Sub(last.At) < refillEvery:
		return fmt.Errorf("this peer's copy of the ledger is damaged again, %v after it was filled anew: check its disk and memory, then start slapd again: %w", now.Sub(last.At).Round(time.Second), why)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return errors.Join(why, err)
	}
	if err := writeJSON(d.folder.damageFile(), damage{why.Error(), d.cfg.Clock()}); err != nil {
		return errors.Join(why, err)
	}
	return &DamagedError{why}
}

// damagedBy makes a damage of an error that says that this peer's copy is not
// that of the others, or not what it wrote; any other is returned as it is.
func (d *Daemon) damagedBy(err error) error {
	_, diverged := errors.AsType[*journal.DivergedError](err)
	_, mismatch := errors.AsType[*journal.MismatchError](err)
	_, outvoted := errors.AsType[*exchange.OutvotedError](err)
	switch {
	case diverged, mismatch, outvoted:
		return d.contradicted(err)
	case errors.Is(err, journal.ErrDamaged), errors.Is(err, consensus.ErrDamaged):
		return d.unreadable(err)
	}
	return err
}

// doubted notes that this peer's journal contradicts its own log, or cannot be
// read. The replica stands still.
func (d *Daemon) doubted(why error) { d.doubt.CompareAndSwap(nil, &why) }

// rotten notes that something in the store of the journal is damaged. If the
// others can fill it anew they do; a peer that is alone goes on, for all but
// what is damaged is there.
func (d *Daemon) rotten(why error) {
	if r, err := d.folder.seatRecord(); err == nil && r.spared() {
		d.rot <- why
	}
}

// runRot ends a peer whose history is damaged on disk.
func (d *Daemon) runRot(ctx context.Context) error {
	select {
	case why := <-d.rot:
		return d.unreadable(why)
	case <-ctx.Done():
		return nil
	}
}

// setAsideDamaged puts a copy that was found to be damaged away, in place of
// one that was before. This peer begins as one without a seat.
func (d *Daemon) setAsideDamaged() error {
	var why damage
	switch err := readJSON(d.folder.damageFile(), &why); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	aside := d.folder.file(asideDir)
	if err := errors.Join(os.RemoveAll(aside), os.Mkdir(aside, 0o700)); err != nil {
		return fmt.Errorf("set aside: %w", err)
	}
	for _, name := range []string{"seat.json", "consensus", "journal", "damaged.json"} { // the last says that all is done
		err := os.Rename(d.folder.file(name), filepath.Join(aside, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("set aside: %w", err)
		}
	}
	d.log.Warn("a damaged copy of the ledger was set aside; it is filled anew from the others", "kept_in", aside, "why", why.Why)
	return nil
}

// otherSeats lists the other peers that have a seat at the log.
func (d *Daemon) otherSeats() (peers []mesh.PeerID) {
	s := d.books.Seat()
	if s == nil || s.node == nil { // it is not open yet: whoever the ledger names
		for _, id := range d.keepers() {
			peers = append(peers, mesh.PeerID(id))
		}
		return peers
	}
	for _, server := range s.node.Servers() {
		if id := mesh.PeerID(server.Peer); id != d.mesh.Self() {
			peers = append(peers, id)
		}
	}
	return peers
}

// agreementPath is where those who keep the ledger say what they have,
// agreementEvery how often each asks the others.
const (
	agreementPath  = "/v1/agreement"
	agreementEvery = 30 * time.Second
)

// serveAgreement tells others what this peer has.
func (d *Daemon) serveAgreement() {
	handle(d.rpc, agreementPath, func(context.Context, mesh.PeerID, struct{}) ([]replica.Mark, error) {
		if s := d.books.Seat(); s != nil && d.holdsHistory() {
			return s.Marks(), nil
		}
		return nil, &ledger.Refusal{Code: ledger.ErrUnavailable, Detail: "this peer does not keep the ledger"}
	})
}

// runAgreement compares this peer's state with that of all who keep the
// ledger, and fails if most of them have another.
func (d *Daemon) runAgreement(ctx context.Context) error {
	tick := time.NewTicker(agreementEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if s := d.books.Seat(); s != nil && d.holdsHistory() {
			if err := d.agrees(ctx, s); err != nil {
				return err
			}
		}
	}
}

func (d *Daemon) agrees(ctx context.Context, s *seat) error {
	others := d.otherSeats()
	differ := 0
	for _, peer := range others {
		var theirs []replica.Mark
		ask, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := d.rpc.call(ask, peer, agreementPath, struct{}{}, &theirs)
		cancel()
		if err == nil && differs(s.Marks(), theirs) {
			d.log.Error("a peer has another state of the ledger than this one", "peer", peer)
			differ++
		}
	}
	if 2*differ > len(others)+1 && s == d.books.Seat() {
		return d.contradicted(fmt.Errorf("%d of the %d peers that keep the ledger have another state of it", differ, len(others)+1))
	}
	return nil
}

// differs reports whether there is an index at which both have a mark, and not
// the same.
func differs(ours, theirs []replica.Mark) bool {
	have := make(map[uint64]string, len(ours))
	for _, m := range ours {
		have[m.Index] = m.Hash
	}
	for _, m := range theirs {
		if hash, both := have[m.Index]; both && hash != m.Hash {
			return true
		}
	}
	return false
}
