package remote

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/view"
)

// FollowConfig says whose slice is followed and where from.
type FollowConfig struct {
	// Self is this peer.
	Self ledger.PeerID

	// HTTP carries a request to the peer that the host of its URL names.
	HTTP http.RoundTripper

	// Voters lists whom to follow. One is kept for as long as it answers.
	Voters func() []ledger.PeerID

	// Dir is a folder in which the last slice is kept, so that this peer
	// knows its orders when it starts while cut off. Default: it is not kept.
	Dir string

	// Log receives what a person should know. Default: nothing is logged.
	Log *slog.Logger

	// Silence is after how long without a frame, heartbeats included, a
	// stream is given up. Default 15 s.
	Silence time.Duration

	// Retry is the pause after a voter did not answer; it doubles up to
	// eight times that. Default 250 ms.
	Retry time.Duration

	// SaveEvery is the least time between two writes of the slice. Default
	// 2 s.
	SaveEvery time.Duration
}

// withDefaults returns a completed copy of c, or says what is missing.
func (c FollowConfig) withDefaults() (FollowConfig, error) {
	if c.Self == "" || c.HTTP == nil || c.Voters == nil {
		return c, errors.New("remote: follow config: Self, HTTP and Voters required")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Silence <= 0 {
		c.Silence = 15 * time.Second
	}
	if c.Retry <= 0 {
		c.Retry = 250 * time.Millisecond
	}
	if c.SaveEvery <= 0 {
		c.SaveEvery = 2 * time.Second
	}
	return c, nil
}

// A Follower keeps the slice of a peer that does not replicate. It answers
// as a replica does, from what it was last told. Use [OpenFollower].
type Follower struct {
	cfg   FollowConfig
	board *view.Board

	mu     sync.Mutex    // guards what follows
	source ledger.PeerID // that is followed now, "" while none is
	err    error         // why none is
}

// OpenFollower returns a follower that shows the slice that was kept, or an
// empty one. Run makes it follow.
func OpenFollower(cfg FollowConfig) (*Follower, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	kept := ledger.NewPartial()
	if cfg.Dir != "" {
		switch s, err := load(cfg.Dir, cfg.Self); {
		case err != nil:
			cfg.Log.Warn("the kept slice of the ledger is not used", "err", err)
		case s != nil:
			kept = s
		}
	}
	return &Follower{cfg: cfg, board: view.New(kept), err: errors.New("not connected yet")}, nil
}

// View returns the slice as it is known now. It is shared and never changes.
func (f *Follower) View() *ledger.State { return f.board.View() }

// WaitIndex returns when the view contains the log up to index.
func (f *Follower) WaitIndex(ctx context.Context, index uint64) error {
	return f.board.WaitIndex(ctx, index)
}

// Await returns a channel that is closed when the view contains the log up to
// index. Who gives up waiting must call forget.
func (f *Follower) Await(index uint64) (reached <-chan struct{}, forget func()) {
	return f.board.Await(index)
}

// Subscribe returns a subscription to changes of the given topics. It must
// be closed.
func (f *Follower) Subscribe(topics ...ledger.Topic) *view.Subscription {
	return f.board.Subscribe(topics...)
}

// Source returns the voter that is followed, or why none is: then the view
// may be out of date.
func (f *Follower) Source() (ledger.PeerID, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.source, f.err
}

func (f *Follower) setSource(id ledger.PeerID, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.source, f.err = id, err
}

// Run follows until ctx is done, then returns nil. A voter that fails is
// replaced by the next; while none answers the view stays as it is.
func (f *Follower) Run(ctx context.Context) error {
	var saver sync.WaitGroup
	if f.cfg.Dir != "" {
		saver.Go(func() { f.save(ctx) })
	}
	defer saver.Wait()

	choice, failures := spread(f.cfg.Self), 0
	for ctx.Err() == nil {
		voters := f.cfg.Voters()
		if len(voters) > 0 {
			began := f.View().Index()
			err := f.follow(ctx, voters[choice%len(voters)])
			f.setSource("", err)
			if ctx.Err() != nil {
				break
			}
			f.cfg.Log.Info("following the ledger was interrupted", "voter", voters[choice%len(voters)], "err", err)
			choice++
			if f.View().Index() > began {
				failures = 0
			}
		}
		pause := time.NewTimer(f.cfg.Retry << min(failures, 3))
		failures++
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
	return nil
}

// spread makes peers begin with different voters.
func spread(id ledger.PeerID) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	return int(h.Sum32() >> 1)
}

// follow applies what one voter sends until it stops. The error is never
// nil.
func (f *Follower) follow(ctx context.Context, voter ledger.PeerID) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(f.cfg.Silence, func() { cancel(fmt.Errorf("%s is silent", voter)) })
	defer silence.Stop()

	at := cutOf(f.View(), f.cfg.Self)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+string(voter)+pathWatch+at.query(), nil)
	if err != nil {
		return err
	}
	resp, err := f.cfg.HTTP.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("follow %s: %w", voter, cmpErr(context.Cause(ctx), err))
	}
	defer func() { _ = resp.Body.Close() }() // was only read
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // for people only
		return fmt.Errorf("follow %s: %s: %s", voter, resp.Status, why)
	}
	var fresh *ledger.State // being filled, while it is not whole
	for {
		frame, err := readFrame(resp.Body)
		if err != nil {
			return fmt.Errorf("follow %s: %w", voter, cmpErr(context.Cause(ctx), err))
		}
		silence.Reset(f.cfg.Silence)
		if fresh, err = f.apply(fresh, frame); err != nil {
			return fmt.Errorf("follow %s: %w", voter, err)
		}
		if fresh == nil {
			f.setSource(voter, nil)
		}
	}
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// apply merges a frame: into the slice that is shown, or into a fresh one,
// which is shown when it is whole and returned until then.
func (f *Follower) apply(fresh *ledger.State, frame ledger.Frame) (*ledger.State, error) {
	if frame.Full {
		fresh = ledger.NewPartial()
	}
	if fresh == nil {
		next := f.View().Copy()
		changes, err := next.Merge(frame)
		if err == nil {
			f.board.Replace(next, changes)
		}
		return nil, err
	}
	if _, err := fresh.Merge(frame); err != nil {
		return nil, err
	}
	if frame.More {
		return fresh, nil
	}
	f.board.Restart(fresh)
	return nil, nil
}

// Profile returns the bytes of a release: from the slice, or from the voter
// that is followed.
func (f *Follower) Profile(ctx context.Context, digest ledger.ReleaseDigest) ([]byte, error) {
	if data, ok := f.View().Profile(digest); ok {
		return data, nil
	}
	voter, err := f.Source()
	if err != nil {
		return nil, &ledger.Refusal{Code: ledger.ErrUnavailable, Detail: fmt.Sprintf("profile %s: no voter to ask: %v", digest, err)}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+string(voter)+pathProfile+string(digest), nil)
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", digest, err)
	}
	resp, err := f.cfg.HTTP.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", digest, err)
	}
	defer drain(resp)
	if resp.StatusCode == http.StatusNotFound {
		return nil, &ledger.Refusal{Code: ledger.ErrNotFound, Detail: fmt.Sprintf("release %s is not published", digest)}
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, ledger.MaxProfile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("profile %s: %w", digest, err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("profile %s: %s answered %s", digest, voter, resp.Status)
	case ledger.DigestOf(data) != digest:
		return nil, fmt.Errorf("profile %s: %s sent other bytes", digest, voter)
	}
	return data, nil
}
