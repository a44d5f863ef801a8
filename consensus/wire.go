package consensus

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// errSilent is what a leader gets in place of sending while its disk hangs.
var errSilent = errors.New("disk is stalled: keeping silent")

// A durability tells what the disk of this node has. A logstore.Store is one.
type durability interface {
	// Durable waits until the entries up to index are on disk.
	Durable(index uint64) error

	// Stalled reports that a write hangs.
	Stalled() bool
}

// A wire is raft's network transport, and mends on the way what raft leaves to
// be wished:
//
//   - Entries leave before the leader's own disk has them; in return an
//     acknowledgement counts only once it does. So what a follower and the
//     leader's bookkeeping make a majority is on a majority of disks.
//   - A leader whose disk hangs falls silent, so that it loses its lease and
//     another is elected.
//   - Commits are announced as soon as somebody waits for them, or no entries
//     are there to carry the news, instead of at short regular intervals.
//   - Heartbeats keep a pace of their own, slower than raft's.
//   - A pre-vote that is refused is asked for again soon: voters find out at
//     different moments that the leader is gone.
type wire struct {
	*raft.NetworkTransport

	// Set once; raft before ready is closed. Nothing is sent before.
	timing Timing
	disk   durability
	log    func(index uint64, log *raft.Log) error
	self   raft.RPCHeader
	busy   func() bool // more entries are on their way
	closed <-chan struct{}
	ready  chan struct{}
	begun  time.Time // heartbeats go out at multiples after it
	raft   *raft.Raft

	verifying atomic.Int32  // when positive, heartbeats do not wait
	commits   atomic.Uint64 // that were to be announced
	news      chan struct{} // receives when one is

	mu        sync.Mutex
	followers map[raft.ServerID]*follower
}

// A follower is what a leader knows about one.
type follower struct {
	hurry chan struct{} // ends the wait of a heartbeat

	mu         sync.Mutex
	term       uint64    // of which the rest is
	match      uint64    // newest entry that it is known to have
	committed  uint64    // newest commit that it was told
	contact    time.Time // last answer
	announcing bool      // somebody is telling it of commits
	wanted     uint64    // newest commit to tell
	urgent     bool      // it waits for a commit
}

func (w *wire) follower(id raft.ServerID) *follower {
	w.mu.Lock()
	defer w.mu.Unlock()
	f, ok := w.followers[id]
	if !ok {
		f = &follower{hurry: make(chan struct{}, 1)}
		w.followers[id] = f
	}
	return f
}

// forget drops those who have no seat any more.
func (w *wire) forget(seated []raft.Server) {
	w.mu.Lock()
	defer w.mu.Unlock()
	keep := make(map[raft.ServerID]*follower, len(seated))
	for _, s := range seated {
		if f, ok := w.followers[s.ID]; ok {
			keep[s.ID] = f
		}
	}
	w.followers = keep
}

// AppendEntries implements [raft.Transport].
func (w *wire) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	<-w.ready
	f := w.follower(id)
	fresh := f.enter(args.Term)
	if isHeartbeat(args) && !fresh {
		w.pause(f)
	}
	if w.disk.Stalled() {
		return errSilent
	}
	if err := w.NetworkTransport.AppendEntries(id, target, args, resp); err != nil {
		return err
	}
	last := args.PrevLogEntry
	if n := len(args.Entries); n > 0 && resp.Success {
		last = args.Entries[n-1].Index
		if err := w.disk.Durable(last); err != nil {
			return err
		}
	}
	f.answered(args, resp, last)
	if resp.Success && len(args.Entries) > 0 {
		w.acknowledged(id, target, f, args.Term)
	}
	return nil
}

func isHeartbeat(a *raft.AppendEntriesRequest) bool {
	return len(a.Entries) == 0 && a.PrevLogEntry == 0 && a.LeaderCommitIndex == 0
}

// pause spaces out heartbeats, and has those to all followers go out at the
// same moments, so that an idle computer wakes up once for all of them.
func (w *wire) pause(f *follower) {
	if w.timing.Pace == 0 || w.verifying.Load() > 0 {
		return
	}
	every := w.timing.Pace + w.timing.Heartbeat/8
	timer := time.NewTimer(every - time.Since(w.begun)%every) //nolint:forbidigo // how far apart they are, not what time it is
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.hurry:
	case <-w.closed:
	}
}

// hurry makes the heartbeats go out now until the returned function is called.
func (w *wire) hurry() (done func()) {
	w.verifying.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.followers {
		select {
		case f.hurry <- struct{}{}:
		default:
		}
	}
	return func() { w.verifying.Add(-1) }
}

// RequestPreVote implements [raft.WithPreVote].
func (w *wire) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	<-w.ready
	const tries = 10
	for n := range tries {
		if n > 0 && !w.rest(w.timing.Heartbeat/tries) {
			return ErrClosed
		}
		if w.raft.State() != raft.Candidate {
			break
		}
		*resp = raft.RequestPreVoteResponse{}
		err := w.NetworkTransport.RequestPreVote(id, target, args, resp)
		if err != nil || resp.Granted || resp.Term > args.Term {
			return err
		}
	}
	return nil
}

// rest waits, and reports whether the wire is still open then.
func (w *wire) rest(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.closed:
		return false
	case <-timer.C:
		return true
	}
}

// enter notes that the leader has a term, and reports whether it is new.
func (f *follower) enter(term uint64) (fresh bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fresh = f.term != term; fresh {
		f.term, f.match, f.committed = term, 0, 0
	}
	return fresh
}

// answered notes what a follower said to args, which ended at entry last.
func (f *follower) answered(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse, last uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.contact = time.Now() //nolint:forbidigo // compared with time.Since only
	if resp.Success && f.term == args.Term {
		f.match = max(f.match, last)
		f.committed = max(f.committed, min(args.LeaderCommitIndex, last))
	}
}
