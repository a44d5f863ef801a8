package consensus

import (
	"github.com/hashicorp/raft"
)

// announce has the followers told what is committed, unless entries that
// follow soon carry the news.
func (w *wire) announce() {
	w.commits.Add(1)
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// announcer makes the announcements, each when a lull has passed since the
// last commit, until the wire is closed.
func (w *wire) announcer() {
	for {
		select {
		case <-w.news:
		case <-w.closed:
			return
		}
		for seen := uint64(0); seen != w.commits.Load(); {
			seen = w.commits.Load()
			if !w.rest(w.timing.Lull) {
				return
			}
		}
		w.announceAll()
	}
}

// announceAll tells the followers what is committed. Who lacks entries gets
// the news with them.
func (w *wire) announceAll() {
	if w.raft.State() != raft.Leader || w.busy() {
		return
	}
	term, commit := w.raft.CurrentTerm(), w.raft.CommitIndex()
	for _, s := range w.raft.GetConfiguration().Configuration().Servers {
		if string(s.ID) != string(w.self.ID) {
			w.announceTo(s.ID, s.Address, w.follower(s.ID), term, commit)
		}
	}
}

// hasten tells a peer at once what is committed, or as soon as it has the
// entries.
func (w *wire) hasten(peer string) {
	if w.raft.State() != raft.Leader {
		return
	}
	term, commit := w.raft.CurrentTerm(), w.raft.CommitIndex()
	for _, s := range w.raft.GetConfiguration().Configuration().Servers {
		if p, _ := splitSeat(string(s.ID)); p == peer && string(s.ID) != string(w.self.ID) {
			f := w.follower(s.ID)
			f.await(commit)
			w.announceTo(s.ID, s.Address, f, term, commit)
		}
	}
}

// acknowledged sees to it that a follower hears of the commit of what it has
// just stored, if that was before.
func (w *wire) acknowledged(id raft.ServerID, target raft.ServerAddress, f *follower, term uint64) {
	if f.isUrgent() {
		w.announceTo(id, target, f, term, w.raft.CommitIndex())
	} else if !w.busy() {
		w.announce()
	}
}

// announceTo has one follower told, unless it knows or is just being told.
func (w *wire) announceTo(id raft.ServerID, target raft.ServerAddress, f *follower, term, commit uint64) {
	if !f.beginAnnouncing(term, commit) {
		return
	}
	go func() {
		for more := true; more; {
			told := w.tell(id, target, f, term, commit)
			commit, more = f.goOnAnnouncing(told, term)
		}
	}()
}

// tell makes one announcement and reports whether the follower took it.
func (w *wire) tell(id raft.ServerID, target raft.ServerAddress, f *follower, term, commit uint64) bool {
	args := w.announcement(term, commit)
	if args == nil || w.disk.Stalled() {
		return false
	}
	var resp raft.AppendEntriesResponse
	if err := w.NetworkTransport.AppendEntries(id, target, args, &resp); err != nil {
		return false
	}
	f.answered(args, &resp, commit)
	return resp.Success
}

// announcement is an append of nothing behind the committed entry, just what
// raft itself sends at intervals. It returns nil if the entry cannot be read.
func (w *wire) announcement(term, commit uint64) *raft.AppendEntriesRequest {
	var l raft.Log
	if err := w.log(commit, &l); err != nil {
		return nil
	}
	return &raft.AppendEntriesRequest{
		RPCHeader:         w.self,
		Term:              term,
		PrevLogEntry:      commit,
		PrevLogTerm:       l.Term,
		LeaderCommitIndex: commit,
	}
}

// beginAnnouncing reports whether the commit is news to the follower and the
// caller is to tell it. If another is at it, that one goes on with this.
func (f *follower) beginAnnouncing(term, commit uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.lacksLocked(term, commit) {
		return false
	}
	f.wanted, f.urgent = commit, false
	first := !f.announcing
	f.announcing = true
	return first
}

// goOnAnnouncing returns what is to be announced next, if anything.
func (f *follower) goOnAnnouncing(told bool, term uint64) (commit uint64, more bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.announcing = told && f.lacksLocked(term, f.wanted)
	return f.wanted, f.announcing
}

// lacksLocked reports whether the follower has the entry but does not know
// that it is committed.
func (f *follower) lacksLocked(term, commit uint64) bool {
	return f.term == term && f.committed < commit && f.match >= commit
}

// await notes that somebody there waits for a commit.
func (f *follower) await(commit uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.urgent = f.committed < commit
}

func (f *follower) isUrgent() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.urgent
}
