package tiers

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/mesh/frame"
)

// Tiers is one peer's place in the mesh.
type Tiers struct {
	// set once
	cfg  Config
	wake chan struct{} // receives a value when there is something to tell

	// moving has a value while somebody takes this peer into the pool, out of it,
	// or joins it to others, which takes a while. It is taken before mu.
	moving chan struct{}

	mu       sync.Mutex
	attached bool             // not of the pool
	pool     map[string]bool  // others that gossip, by their names
	lists    map[string]*told // of peers of the pool; of followed, while attached
	ends     map[string]time.Time
	view     table               // all peers, as seen here
	claims   table               // those that this peer holds
	held     map[string]*lease   // who is attached here
	holders  map[string]*lease   // who holds this peer, while attached
	followed string              // the one of them that tells what changes
	tellings map[string]*telling // to whom something is told
	seeking  bool
	sought   time.Time // when holders were looked for last
	named    []string  // who may hold this peer, as one said that does not
	orphaned time.Time // since when nobody holds this peer, while attached
	drained  time.Time // when this peer began to leave the pool, or zero
	reviewed time.Time
}

// A lease is a connection that holds a peer, seen from one of its ends.
type lease struct {
	heard uint64    // packets, when last looked at
	since time.Time // when that changed
	said  time.Time // when the place was asked for last
}

// New makes a peer that is alone.
func New(c Config) *Tiers {
	c = c.withDefaults()
	start := uint64(c.Clock().UnixMicro())
	t := &Tiers{
		cfg: c, wake: make(chan struct{}, 1), moving: make(chan struct{}, 1),
		pool: map[string]bool{}, lists: map[string]*told{}, ends: map[string]time.Time{},
		view: newTable(start), claims: newTable(start),
		held: map[string]*lease{}, holders: map[string]*lease{}, tellings: map[string]*telling{},
	}
	t.view.set(c.Self, flagAlive|flagPool, 0)
	return t
}

// Attached reports whether this peer is attached to others, and to how many.
// One of the pool is not.
func (t *Tiers) Attached() (holders int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.holders), t.attached
}

// Counts says how many peers gossip, this one included if it does, and how
// many this one holds.
func (t *Tiers) Counts() (pool, held int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pool, _ = t.poolLocked()
	return pool, len(t.held)
}

// Joined is called when the pool says that a peer gossips. It may be called
// while the pool is locked.
func (t *Tiers) Joined(peer string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if peer == t.cfg.Self || t.attached {
		return
	}
	t.pool[peer] = true
	delete(t.ends, peer)
	if tl := t.tellings[peer]; tl == nil || tl.view {
		t.tellings[peer] = &telling{}
	}
	t.refreshLocked(peer)
	t.updatedLocked(peer)
	t.wakeUp()
}

// Updated is called when a peer of the pool says something new of itself, as
// one does that was started again.
func (t *Tiers) Updated(peer string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tl := t.tellings[peer]; tl != nil && !tl.view {
		tl.acked = 0 // it may have forgotten
		t.wakeUp()
	}
	t.refreshLocked(peer)
	t.updatedLocked(peer)
}

// updatedLocked asks a peer whom it holds, if something is remembered of
// that: it may have forgotten.
func (t *Tiers) updatedLocked(peer string) {
	if l := t.lists[peer]; l != nil && t.pool[peer] {
		have := l.have
		t.cfg.Spawn(func() {
			if _, err := t.exchange(peer, request{Format: format, Op: opPull, Have: have}); err != nil {
				t.cfg.Log.Debug("claims not asked for", "peer", peer, "err", err)
			}
		})
	}
}

// Gone is called when the pool says that a peer gossips no more. It may be
// called while the pool is locked.
func (t *Tiers) Gone(peer string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.attached {
		return
	}
	delete(t.pool, peer)
	if tl := t.tellings[peer]; tl != nil && !tl.view {
		delete(t.tellings, peer)
	}
	if t.lists[peer] != nil {
		t.ends[peer] = t.cfg.Clock().Add(t.cfg.Grace)
	}
	t.refreshLocked(peer)
}

// Changed is called when this peer says something new of itself.
func (t *Tiers) Changed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refreshLocked(t.cfg.Self)
	for _, l := range t.holders {
		l.said = time.Time{}
	}
	t.wakeUp()
}

// Forget drops what is known of a peer that left or was removed.
func (t *Tiers) Forget(peer string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held[peer] != nil {
		t.releaseLocked(peer)
	}
	for _, l := range t.lists {
		delete(l.peers, peer)
	}
	t.view.drop(peer)
}

// flagsLocked says what is believed of a peer.
func (t *Tiers) flagsLocked(peer string) uint64 {
	if peer == t.cfg.Self {
		if t.attached {
			return flagAlive
		}
		return flagAlive | flagPool
	}
	if t.pool[peer] {
		return flagAlive | flagPool
	}
	if t.held[peer] != nil {
		return flagAlive
	}
	if t.attached {
		if l := t.lists[t.followed]; l != nil && l.have != 0 {
			return l.peers[peer]
		}
		return t.view.peers[peer].flags // it was not told yet: what was known before stands
	}
	for _, l := range t.lists {
		if flags := l.peers[peer]; flags != 0 {
			return flags &^ flagPool
		}
	}
	return 0
}

// refreshLocked looks again at what is believed of a peer.
func (t *Tiers) refreshLocked(peer string) {
	_, seq, _, known := t.cfg.Book.Descriptor(peer)
	if !known {
		return
	}
	flags := t.flagsLocked(peer)
	if _, seen := t.view.peers[peer]; !seen && flags == 0 {
		return
	}
	if !t.view.set(peer, flags, seq) {
		return
	}
	t.view.bury()
	if peer != t.cfg.Self {
		t.cfg.Book.Mark(peer, flags != 0)
	}
	t.wakeUp()
}

// poolLocked counts the peers that gossip, and those of them that are not
// hidden, as far as this peer knows.
func (t *Tiers) poolLocked() (pool, open int) {
	for id, s := range t.view.peers {
		if s.flags&flagPool != 0 {
			pool++
			if !t.hiddenLocked(id) {
				open++
			}
		}
	}
	return pool, open
}

func (t *Tiers) hiddenLocked(peer string) bool {
	if peer == t.cfg.Self {
		return t.cfg.Hidden()
	}
	_, _, hidden, ok := t.cfg.Book.Descriptor(peer)
	return hidden || !ok
}

// aliveLocked counts the peers that are there, this one included.
func (t *Tiers) aliveLocked() int { return len(t.view.peers) - t.view.tombs }

func (t *Tiers) wakeUp() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Run tells what changed, looks after leases and after this peer's own place
// until ctx is done.
func (t *Tiers) Run(ctx context.Context) {
	look, told := time.NewTicker(tick), time.NewTimer(time.Hour)
	defer look.Stop()
	defer told.Stop()
	waiting := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
			if !waiting {
				waiting = true
				told.Reset(t.cfg.Gather)
			}
		case <-told.C:
			waiting = false
			t.tell()
		case <-look.C:
			now := t.cfg.Clock()
			t.watchHeld(now)
			t.expire(now)
			t.watchHolders(now)
			t.review(now)
			t.tell()
		}
	}
}

// expire ends the claims of peers that failed a while ago.
func (t *Tiers) expire(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, end := range t.ends {
		if now.After(end) {
			peers := t.lists[id].peers
			t.lists[id] = &told{peers: map[string]uint64{}} // should it come back, it is asked
			delete(t.ends, id)
			if id == earlier {
				delete(t.lists, id)
			}
			for peer := range peers {
				t.refreshLocked(peer)
			}
		}
	}
}

// exchange asks a peer something and reads its answer.
func (t *Tiers) exchange(peer string, r request) (answer, error) {
	var a answer
	c, err := t.cfg.Network.Open(peer, t.cfg.Timeout)
	if err != nil {
		return a, err
	}
	defer func() { _ = c.Close() }() // nothing more is expected of it
	if err := c.SetDeadline(t.cfg.Clock().Add(t.cfg.Timeout)); err != nil {
		return a, err
	}
	if err := frame.Write(c, r); err != nil {
		return a, err
	}
	return a, read(c, &a)
}

// String describes where this peer is, for a log.
func (t *Tiers) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	short := func(ids iter.Seq[string]) (out []string) {
		for id := range ids {
			out = append(out, id[:min(len(id), 4)])
		}
		slices.Sort(out)
		return out
	}
	where := "pool"
	if t.attached {
		where = "attached"
	}
	return fmt.Sprintf("%s, sees %d, knows in pool %v, holds %v, held by %v, follows %.4s, lists %v", where, t.aliveLocked(),
		short(maps.Keys(t.pool)), short(maps.Keys(t.held)), short(maps.Keys(t.holders)), t.followed, short(maps.Keys(t.lists)))
}
