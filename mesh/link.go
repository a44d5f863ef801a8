package mesh

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
)

// Codes with which a connection ends.
const (
	codeClosing quic.ApplicationErrorCode = 0 // this peer stops
	codeSilent  quic.ApplicationErrorCode = 1 // nothing was heard for too long
	codeRemoved quic.ApplicationErrorCode = 2 // Revoked says so of the peer that is told
	codeSurplus quic.ApplicationErrorCode = 3 // there are newer connections
	codeDoor    quic.ApplicationErrorCode = 4 // a join came to its end
	codeExpired quic.ApplicationErrorCode = 5 // a certificate did
	codeUnknown quic.ApplicationErrorCode = 6 // the peer was forgotten, as one that left is
)

// The first byte of a datagram says what it is.
const (
	datagramPing   byte = 0 // answered by QUIC itself, with an acknowledgement
	datagramGossip byte = 1
	datagramSeen   byte = 2 // where the sender sees the receiver
)

const (
	// outQueue is how many datagrams wait for a connection before the next
	// are dropped.
	outQueue = 32
	// waiting times Profile.Ping is how long somebody is taken to wait for an
	// answer, and how long a connection may be silent on which nobody does.
	waiting = 10
	// missedPings is how many unanswered probes end a connection.
	missedPings = 3
	// missedPingsVirtual is the same where another way may be found meanwhile.
	missedPingsVirtual = 30
	// tunnelsWait is how long a silent connection is kept for its tunnels.
	tunnelsWait = 10 * time.Second
	// keepAlive is how long a connection that is kept may be silent: less than
	// translators remember it.
	keepAlive = 15 * time.Second
	// pingSize makes a probe long enough to be answered with a stateless
	// reset by a process that does not know the connection.
	pingSize = 48
)

// A link is one connection to a peer.
type link struct {
	conn    *quic.Conn
	peer    PeerID
	expires time.Time // when the first of both certificates does
	streams atomic.Int32
	unnamed chan struct{} // one for each stream that was accepted and did not say its kind yet
	asked   atomic.Bool   // something was sent that must be acknowledged
	kept    atomic.Int32  // uses that want it kept alive, without waiting for answers
	retired atomic.Bool   // new streams go over a newer connection
	doubt   atomic.Bool   // it may lead nowhere since this computer moved or slept
	virtual bool          // it runs through the switchboard
	hole    bool          // it is an ordinary one to where a hole was made
	dialled bool          // by this peer

	bearing *bearing // where the other end of an ordinary one is; may be nil

	wrote atomic.Uint64 // how often something was written that may want an answer

	// owned by links.probe
	heard   uint64    // packets received when last looked at
	heardAt time.Time // when that changed
	missed  int       // probes since
	seen    uint64    // wrote, when last looked at
	wroteAt time.Time // when that changed
	heldAt  time.Time // since when it is kept for tunnels only; zero: it is not

	mu      sync.Mutex
	out     [][]byte // datagrams to be sent
	sending bool     // a goroutine empties out
	opened  map[*conn]Kind
}

// note keeps a stream in the list of those that are open, and forget takes it
// out.
func (l *link) note(c *conn, kind Kind) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened == nil {
		l.opened = map[*conn]Kind{}
	}
	l.opened[c] = kind
}

func (l *link) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.opened, c)
}

// resetOthers ends all streams but tunnels, and says whether there are any of
// those.
func (l *link) resetOthers() (tunnels bool) {
	var others []*conn
	l.mu.Lock()
	for c, kind := range l.opened {
		if kind == KindTunnel {
			tunnels = true
		} else {
			others = append(others, c)
		}
	}
	l.mu.Unlock()
	for _, c := range others {
		c.Reset()
	}
	return tunnels
}

// alive reports whether the connection is still up.
func (l *link) alive() bool { return l.conn.Context().Err() == nil }

// send queues a datagram. It never blocks: when the queue is full, as when
// the other end does not answer, the datagram is dropped.
func (l *link) send(b []byte, spawn func(func())) {
	l.mu.Lock()
	l.asked.Store(true)
	full, idle := len(l.out) >= outQueue, !l.sending
	if !full {
		l.out = append(l.out, b)
		l.sending = true
	}
	l.mu.Unlock()
	if idle && !full {
		spawn(l.drain)
	}
}

// drain sends what is queued. SendDatagram blocks while the connection's own
// queue is full, so it may only be called here.
func (l *link) drain() {
	for {
		l.mu.Lock()
		if len(l.out) == 0 {
			l.sending, l.out = false, nil
			l.mu.Unlock()
			return
		}
		b := l.out[0]
		l.out = l.out[1:]
		l.mu.Unlock()
		if err := l.conn.SendDatagram(b); err != nil && !l.alive() {
			l.mu.Lock()
			l.sending, l.out = false, nil
			l.mu.Unlock()
			return
		}
	}
}

// silent looks whether anything was heard since the last look, or for as long
// as the connection may be silent, and probes it if not. It reports whether
// too many probes went unanswered.
func (l *link) silent(now time.Time, may time.Duration, spawn func(func())) bool {
	heard := l.conn.ConnectionStats().PacketsReceived
	if heard != l.heard {
		l.heard, l.heardAt, l.missed, l.heldAt = heard, now, 0, time.Time{}
		l.doubt.Store(false)
		l.asked.Store(false)
		return false
	}
	if now.Sub(l.heardAt) < may {
		return false
	}
	patience := missedPings
	if l.virtual {
		patience = missedPingsVirtual
	}
	if l.missed >= patience {
		return true
	}
	l.missed++
	l.send(make([]byte, pingSize), spawn) // datagramPing is 0
	return false
}
