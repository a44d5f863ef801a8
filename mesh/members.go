package mesh

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/mesh/nat"
)

// A State is what this peer believes of another.
type State string

// The states of a peer.
const (
	StateAlive   State = "alive"
	StateSuspect State = "suspect" // known, but does not answer us, or did not yet
	StateLeft    State = "left"    // said goodbye
	StateFailed  State = "failed"  // gone without a word
)

// A Path is how a peer is reached.
type Path string

// The paths to a peer.
const (
	PathDirect  Path = "direct"
	PathPunched Path = "punched" // directly, through a hole that both made
	PathTCP     Path = "tcp"     // over TCP, for UDP does not pass
	PathRelayed Path = "relayed" // another peer carries the packets
	PathSelf    Path = "self"
)

// A Member is a peer as this peer sees it.
type Member struct {
	ID        PeerID
	Name      string
	Addresses []string // where it says it can be reached
	Address   string   // where it was reached last, or ""
	State     State
	Path      Path
	Via       PeerID // who relays, or ""
	Host      string
	NAT       nat.Kind  // what stands between it and others, as it says
	Since     time.Time // when State began
}

// maxPeers bounds how many peers one peer remembers.
const maxPeers = 8192

// record is what is known of one peer.
type record struct {
	descriptor  Descriptor
	state       State
	since       time.Time
	unreachable bool      // gossip says alive, our own connections say no
	lost        time.Time // since when, if so
	doubted     time.Time // when they said so last
	last        string    // remote address of the latest ordinary connection
	path        Path      // how the latest connection leads there
	via         PeerID    // who relays it
}

// A book is the list of known peers: their descriptors and states. It tells
// its watchers when anything in it changed.
type book struct {
	self  PeerID
	clock func() time.Time

	mu       sync.Mutex
	records  map[PeerID]*record
	watchers []chan struct{}
	dirty    bool // something worth keeping on disk changed
}

func newBook(self PeerID, clock func() time.Time) *book {
	return &book{self: self, clock: clock, records: map[PeerID]*record{}}
}

// watch returns a channel that receives a value after changes.
func (b *book) watch() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	ch := make(chan struct{}, 1)
	b.watchers = append(b.watchers, ch)
	return ch
}

func (b *book) changedLocked() {
	for _, ch := range b.watchers {
		select {
		case ch <- struct{}{}:
		default: // it has news to look at already
		}
	}
}

// put records a descriptor unless a newer one is known. It reports whether
// the peer may be believed to be what d says.
func (b *book) put(d Descriptor) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.records[d.Peer]
	switch {
	case ok && d.Seq < r.descriptor.Seq:
		return false
	case ok && d.Seq == r.descriptor.Seq:
		return true
	case !ok && len(b.records) >= maxPeers:
		return false
	case !ok:
		r = &record{state: StateSuspect, since: b.clock()}
		b.records[d.Peer] = r
	}
	if !slices.Equal(r.descriptor.Addresses, d.Addresses) {
		r.last = "" // it moved
	}
	r.descriptor = d
	b.dirty = true
	b.changedLocked()
	return true
}

// failed reports whether the peer of d is gone without a word, and d is none
// that it said since.
func (b *book) failed(d Descriptor) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.records[d.Peer]
	return ok && r.state == StateFailed && d.Seq <= r.descriptor.Seq
}

// gone reports whether a peer is gone without a word.
func (b *book) gone(id PeerID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.records[id]
	return ok && r.state == StateFailed
}

// mark changes a peer's state.
func (b *book) mark(id PeerID, state State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.records[id]
	if !ok {
		return
	}
	if state == StateFailed && r.descriptor.Left {
		state = StateLeft
	}
	r.unreachable = false
	if r.state != state {
		r.state, r.since = state, b.clock()
		b.changedLocked()
	}
}

// reached notes that a connection to the peer works, from the address if it
// is an ordinary one, and how it leads there.
func (b *book) reached(id PeerID, address string, p Path, via PeerID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.records[id]
	if !ok {
		return
	}
	if address == "" {
		address = r.last
	}
	changed := r.unreachable || r.last != address || r.path != p || r.via != via
	r.unreachable, r.last, r.path, r.via = false, address, p, via
	if changed {
		b.changedLocked()
	}
}

// lost notes that a connection to the peer failed, or could not be made.
func (b *book) lost(id PeerID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.records[id]
	if !ok {
		return
	}
	r.doubted = b.clock()
	if !r.unreachable {
		r.unreachable, r.lost = true, r.doubted
		b.changedLocked()
	}
}

// doubt is how long a failed connection counts against what others say. It is
// longer than those who gossip take to try it again; who is not tried again,
// as in a large mesh, is then believed to be what others say.
const doubt = time.Minute

// relent ends doubts that are older than that.
func (b *book) relent(doubt time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	changed, now := false, b.clock()
	for _, r := range b.records {
		if r.unreachable && now.Sub(r.doubted) >= doubt {
			r.unreachable, changed = false, true
		}
	}
	if changed {
		b.changedLocked()
	}
}

// forget drops a peer that was removed from the mesh.
func (b *book) forget(id PeerID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.records[id]; ok {
		delete(b.records, id)
		b.dirty = true
		b.changedLocked()
	}
}

// lookup returns a peer's descriptor and the address that worked last.
func (b *book) lookup(id PeerID) (d Descriptor, last string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.records[id]
	if !ok {
		return Descriptor{}, "", false
	}
	return r.descriptor, r.last, true
}

// absent returns the peers that should be here and are not, in any order.
func (b *book) absent() []PeerID {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []PeerID
	for id, r := range b.records {
		if id != b.self && (r.state == StateFailed || r.state == StateSuspect) {
			ids = append(ids, id)
		}
	}
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids
}

// alive counts the peers that are here, not counting this one.
func (b *book) alive() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for id, r := range b.records {
		if id != b.self && r.state == StateAlive {
			n++
		}
	}
	return n
}

// descriptors returns what is known, sorted by peer.
func (b *book) descriptors() []Descriptor {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Descriptor, 0, len(b.records))
	for _, id := range slices.Sorted(maps.Keys(b.records)) {
		all = append(all, b.records[id].descriptor)
	}
	return all
}

// members returns what is known, sorted by name and id.
func (b *book) members() []Member {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Member, 0, len(b.records))
	for id, r := range b.records {
		m := Member{
			ID: id, Name: r.descriptor.Name, Addresses: slices.Clone(r.descriptor.Addresses), Address: r.last, State: r.state,
			Path: cmp.Or(r.path, PathDirect), Via: r.via, Host: r.descriptor.Host, NAT: cmp.Or(r.descriptor.NAT, nat.KindUnknown), Since: r.since,
		}
		switch {
		case id == b.self:
			m.Path = PathSelf
		case r.unreachable && m.State == StateAlive:
			m.State, m.Since = StateSuspect, r.lost
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(x, y Member) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.ID, y.ID))
	})
	return all
}
