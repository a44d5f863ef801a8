package daemon

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/journal"
	"github.com/slapmesh/slapmesh/ledger/remote"
	"github.com/slapmesh/slapmesh/mesh"
)

// openBooks opens this peer's copy of the ledger: the slice that it knew
// last, and its seat, if it has one.
func (d *Daemon) openBooks(context.Context) (err error) {
	b := d.books
	if err := d.setAsideDamaged(); err != nil {
		return err
	}
	if d.journal, err = journal.Open(d.folder.file("journal"), journal.Options{Log: d.log.With("part", "journal"), Damaged: d.rotten}); err != nil {
		return d.damagedBy(err)
	}
	d.closers = append(d.closers, d.journal.Close)
	if err := d.openHistory(); err != nil {
		return err
	}
	d.rpc.mux.Handle("/ledger/", http.HandlerFunc(b.serve))
	remembered, err := d.folder.seatRecord()
	if err != nil {
		return err
	}
	if remembered.Seat > 0 {
		if err := b.sit(remembered.Seat, d.mesh.Self()); err != nil { //nolint:contextcheck // a seat outlives the call
			return d.damagedBy(err)
		}
	} else {
		b.refreshed() // with what it was told last
	}
	d.closers = append(d.closers, b.Close)
	d.loops = append(d.loops,
		loop{"journal", d.journal.Run},
		loop{"slice", b.followSlice},
		loop{"catching up", b.catchUp},
		loop{"leader", b.followLeader},
		loop{"log", b.watchDisk},
		loop{"agreement", d.runAgreement},
		loop{"history on disk", d.runRot},
		loop{"seats", d.runSeating},
		loop{"presence", d.runPresence},
		loop{membership, d.runMembership},
		loop{"certificate", d.runCertificate},
		loop{"founding", d.runFounding},
	)
	return nil
}

// newBooks makes the books of a peer whose mesh is not open yet, with the
// slice that was kept.
func newBooks(d *Daemon, self mesh.PeerID) (*books, error) {
	b := &books{d: d, log: d.log.With("part", "books"), switched: make(chan struct{}), fresh: make(chan struct{})}
	b.local = newLocal(b)
	var err error
	b.slice, err = remote.OpenFollower(remote.FollowConfig{
		Self:   ledger.PeerID(self),
		HTTP:   keeperTripper{d},
		Voters: b.followed,
		Dir:    d.folder.path,
		Log:    d.log.With("part", "slice"),
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	b.forward, err = remote.NewForwarder(remote.ForwardConfig{
		Self:     ledger.PeerID(self),
		HTTP:     keeperTripper{d},
		Local:    b.local,
		Voters:   b.followed,
		Hopeless: b.hopeless,
		Patience: leaderPatience,
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return b, nil
}

// roundTripper calls other peers, once the mesh is open.
type roundTripper struct{ d *Daemon }

// RoundTrip implements [http.RoundTripper].
func (t roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.d.rpc.client.Transport.RoundTrip(r)
}

// keeperTripper calls those peers whose word on the ledger counts.
type keeperTripper struct{ d *Daemon }

// RoundTrip implements [http.RoundTripper].
func (t keeperTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.d.mayTell(mesh.PeerID(r.URL.Host)); err != nil {
		return nil, err
	}
	return roundTripper(t).RoundTrip(r)
}

// followed lists whom to ask for the ledger.
func (b *books) followed() []ledger.PeerID {
	var out []ledger.PeerID
	for _, id := range b.targets() {
		out = append(out, ledger.PeerID(id))
	}
	return out
}

// followSlice keeps the slice up to date for as long as it is what is read.
func (b *books) followSlice(ctx context.Context) error {
	for ctx.Err() == nil {
		b.mu.Lock()
		seated, switched := b.seated, b.switched
		b.mu.Unlock()
		if seated {
			select {
			case <-ctx.Done():
			case <-switched:
			}
			continue
		}
		follow, cancel := context.WithCancel(ctx)
		stop := afterClose(switched, cancel)
		b.findVoters(follow)
		err := b.slice.Run(follow)
		stop()
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// followLeader tells those who wait for the leader who it is, as soon as the
// log knows, for as long as this peer has a seat; and keeps on disk who votes.
func (b *books) followLeader(ctx context.Context) error {
	for ctx.Err() == nil {
		b.mu.Lock()
		s, switched := b.seat, b.switched
		b.mu.Unlock()
		var changed <-chan struct{}
		stop := func() {}
		if s != nil {
			changed, stop = s.node.Watch()
			b.forward.Moved(ledger.PeerID(s.node.Leader()))
		}
		for again := true; again; {
			b.rememberVoters(s)
			select {
			case <-changed:
				b.forward.Moved(ledger.PeerID(s.node.Leader()))
			case <-switched:
				again = false
			case <-ctx.Done():
				again = false
			}
		}
		stop()
	}
	return nil
}

// rememberVoters keeps on disk who votes beside this peer, for a start at which
// the log cannot be read.
func (b *books) rememberVoters(s *seat) {
	b.sitting.Lock()
	defer b.sitting.Unlock()
	if s == nil || s != b.Seat() {
		return
	}
	if err := s.remember(b.d.folder, b.d.mesh.Self()); err != nil {
		b.log.Warn("who votes is not kept on disk", "err", err)
	}
}

// findVoters returns when somebody has told who votes. A newcomer would
// otherwise try to follow others that do not hold the ledger either.
func (b *books) findVoters(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for wait := 10 * time.Millisecond; len(b.Consensus(ctx).Voters) == 0; wait = min(2*wait, time.Second) {
		pause.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
}

// serve lets other peers propose to this one and follow the ledger from it,
// for as long as it has a seat.
func (b *books) serve(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	s, seated, switched := b.seat, b.seated, b.switched
	b.mu.Unlock()
	if !seated {
		http.Error(w, "this peer does not hold the ledger", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer afterClose(switched, cancel)()
	s.server.ServeHTTP(w, r.WithContext(ctx))
}

// newServer makes what serves other peers from a seat.
func (b *books) newServer(s *seat) (*remote.Server, error) {
	return remote.NewServer(remote.ServerConfig{
		Caller: func(r *http.Request) (ledger.PeerID, bool) {
			id := callerOf(r)
			return ledger.PeerID(id), id != ""
		},
		Ledger: s.Replica,
		Local:  b.local,
		Log:    b.d.log.With("part", "ledger"),
	})
}

// watchDisk fails when the log's disk has failed or hangs for good: a peer
// that cannot keep what it promised must stop.
func (b *books) watchDisk(ctx context.Context) error {
	for {
		b.mu.Lock()
		s, switched := b.seat, b.switched
		b.mu.Unlock()
		var failed, unwritten <-chan struct{}
		if s != nil {
			failed, unwritten = s.node.Failed(), s.Failed()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-switched:
			continue
		case <-failed:
		case <-unwritten:
		}
		if why := b.d.doubt.Load(); why != nil {
			return b.d.damagedBy(*why)
		}
		return fmt.Errorf("the disk of %s failed, is full, or hangs, so this peer keeps the ledger no longer: see the messages above; make room or mend it, then start slapd again: what was acknowledged is kept", b.d.folder.path)
	}
}

// Close ends this peer's part in consensus. The seat stays its own.
func (b *books) Close() error {
	b.sitting.Lock()
	defer b.sitting.Unlock()
	b.mu.Lock()
	s := b.seat
	b.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.node.Close()
}

// afterClose calls f when c is closed, unless stop is called first.
func afterClose(c <-chan struct{}, f func()) (stop func()) {
	done := make(chan struct{})
	go func() {
		select {
		case <-c:
			f()
		case <-done:
		}
	}()
	return sync.OnceFunc(func() { close(done) })
}
