// Package relay keeps count of what a peer carries for others, and says what
// is too much. A [Desk] holds [Session]s, each between two peers; whoever
// moves the packets asks [Session.Pass] for each.
//
// It carries nothing itself, and what is carried is encrypted between the
// two peers.
package relay

import (
	"errors"
	"sync"
	"time"
)

// Limits bound what a Desk allows. Zero fields are the defaults.
type Limits struct {
	// Rate is how many bytes a second all sessions together may carry, both
	// ways. Default 8 MB.
	Rate int64
	// PeerRate is the same for the sessions that one peer asked for. Default:
	// half of Rate.
	PeerRate int64
	// Sessions is how many there may be at a time, PeerSessions how many of
	// them one peer may have asked for. Default 1,024 and 64.
	Sessions, PeerSessions int
}

// The defaults of Limits.
const (
	defaultRate         = 8_000_000
	defaultSessions     = 1024
	defaultPeerSessions = 64
)

// burst is how long a peer that was silent may send at twice its rate.
const burst = 250 * time.Millisecond

func (l Limits) withDefaults() Limits {
	if l.Rate <= 0 {
		l.Rate = defaultRate
	}
	if l.PeerRate <= 0 {
		l.PeerRate = l.Rate / 2
	}
	if l.Sessions <= 0 {
		l.Sessions = defaultSessions
	}
	if l.PeerSessions <= 0 {
		l.PeerSessions = defaultPeerSessions
	}
	return l
}

// Stats counts what was carried since the Desk was made.
type Stats struct {
	Sessions int    // open now
	Opened   uint64 // sessions
	Refused  uint64 // sessions
	Packets  uint64 // carried
	Bytes    uint64 // carried
	Dropped  uint64 // packets over a limit
}

// Why a Desk opens no session.
var (
	ErrFull     = errors.New("this peer relays for too many others at the moment")
	ErrPeerFull = errors.New("this peer relays too many connections of yours already")
)

// A Desk opens sessions. Its methods may be called by several goroutines.
type Desk struct {
	limits Limits
	clock  func() time.Time

	mu    sync.Mutex
	all   bucket
	peers map[string]*account
	stats Stats
}

// account is what one peer asked for.
type account struct {
	sessions int
	bucket   bucket
}

// NewDesk makes a Desk with nothing open.
func NewDesk(l Limits, clock func() time.Time) *Desk {
	return &Desk{limits: l.withDefaults(), clock: clock, peers: map[string]*account{}}
}

// Open begins a session that a peer asked for. Its Close is to be called.
func (d *Desk) Open(peer string) (*Session, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.peers[peer]
	switch {
	case d.stats.Sessions >= d.limits.Sessions:
		d.stats.Refused++
		return nil, ErrFull
	case a != nil && a.sessions >= d.limits.PeerSessions:
		d.stats.Refused++
		return nil, ErrPeerFull
	case a == nil:
		a = &account{}
		d.peers[peer] = a
	}
	a.sessions++
	d.stats.Sessions++
	d.stats.Opened++
	return &Session{desk: d, peer: peer, account: a}, nil
}

// Stats returns the counts.
func (d *Desk) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

// A Session is one connection that is carried.
type Session struct {
	desk    *Desk
	peer    string
	account *account

	// guarded by desk.mu
	passed uint64
	closed bool
}

// Pass reports whether a packet of n bytes may be carried now, and counts it.
func (s *Session) Pass(n int) bool {
	d := s.desk
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.clock()
	if s.closed || !s.account.bucket.has(n, d.limits.PeerRate, now) || !d.all.has(n, d.limits.Rate, now) {
		d.stats.Dropped++
		return false
	}
	s.account.bucket.left -= int64(n)
	d.all.left -= int64(n)
	s.passed++
	d.stats.Packets++
	d.stats.Bytes += uint64(n)
	return true
}

// Passed counts the packets that were carried.
func (s *Session) Passed() uint64 {
	s.desk.mu.Lock()
	defer s.desk.mu.Unlock()
	return s.passed
}

// Close ends the session.
func (s *Session) Close() {
	d := s.desk
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	d.stats.Sessions--
	if s.account.sessions--; s.account.sessions == 0 {
		delete(d.peers, s.peer)
	}
}

// A bucket fills with bytes at a rate, up to what burst allows.
type bucket struct {
	left int64
	at   time.Time
}

// has fills the bucket up to now and reports whether n bytes are in it.
func (b *bucket) has(n int, rate int64, now time.Time) bool {
	size := max(rate*int64(burst)/int64(time.Second), 1<<16)
	if b.at.IsZero() {
		b.left = size
		b.at = now
	}
	if passed := min(now.Sub(b.at), time.Second); passed > 0 {
		b.left = min(size, b.left+rate*int64(passed)/int64(time.Second))
		b.at = now
	}
	return b.left >= int64(n)
}
