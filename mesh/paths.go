package mesh

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slapmesh/slapmesh/mesh/path"
	"github.com/slapmesh/slapmesh/mesh/relay"
	"github.com/slapmesh/slapmesh/mesh/switchboard"
)

const (
	// waysPerPeer bounds the ways to one peer: others open them too.
	waysPerPeer = 8
	// wayLingering is how long a way is kept when nothing runs on it.
	wayLingering = 10 * time.Second
)

// paths keeps the ways to peers that are not simply dialled, and tells the
// switchboard which to use.
type paths struct {
	links *links
	board *switchboard.Board
	desk  *relay.Desk // nil: this peer does not relay
	reach *reach
	open  func(context.Context, *link, Kind, *atomic.Int32) (net.Conn, error) // a stream
	log   *slog.Logger

	mu       sync.Mutex
	peers    map[PeerID]*pathway
	signals  map[switchboard.Label]*punch
	bearings map[switchboard.Label]*bearing
	punched  map[PeerID]time.Time // when it was tried last, without success so far
	improved map[PeerID]time.Time // when an ordinary connection was tried last
	punching int                  // holes being made
}

// pathway is all ways to one peer.
type pathway struct {
	ways    []*way
	present *way      // the one in use
	idle    time.Time // since when no connection runs on it
}

// A way is one path to a peer for virtual connections.
type way struct {
	kind  path.Kind
	via   PeerID            // who relays
	hop   switchboard.Hop   // where packets for the peer go
	label switchboard.Label // under which the peer's come
	end   func()            // gives it up; may be called again
	heard atomic.Int64      // when, in Unix nanoseconds
}

// virtualAddr is the address of a peer for virtual connections: the same that
// memberlist believes it to have.
func virtualAddr(id PeerID) *net.UDPAddr {
	return &net.UDPAddr{IP: syntheticIP(id), Port: syntheticPort}
}

// newLabel draws one that nobody guesses.
func newLabel() switchboard.Label {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // crypto/rand never fails
	}
	return switchboard.Label(binary.BigEndian.Uint64(b[:]) | 1)
}

// receive lets packets of the peer come in under the way's label.
func (p *paths) receive(id PeerID, w *way) {
	w.label = newLabel()
	w.heard.Store(p.links.wall.clock().UnixNano())
	p.board.Plug(w.label, switchboard.Port{
		From:  virtualAddr(id),
		Heard: func() { w.heard.Store(p.links.wall.clock().UnixNano()) },
	})
}

// add begins to use a way, if it is the best. It reports whether there was
// place for it.
func (p *paths) add(id PeerID, w *way) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	pw := p.peers[id]
	if pw == nil {
		if len(p.peers) >= maxPeers {
			return false
		}
		pw = &pathway{idle: p.links.wall.clock()}
		p.peers[id] = pw
	}
	if len(pw.ways) >= waysPerPeer {
		return false
	}
	pw.ways = append(pw.ways, w)
	p.chooseLocked(id, pw)
	return true
}

// remove forgets a way that ended.
func (p *paths) remove(id PeerID, w *way) {
	p.board.Unplug(w.label)
	p.mu.Lock()
	defer p.mu.Unlock()
	pw := p.peers[id]
	if pw == nil {
		return
	}
	pw.ways = slices.DeleteFunc(pw.ways, func(x *way) bool { return x == w })
	if len(pw.ways) == 0 {
		delete(p.peers, id)
		p.board.Unroute(virtualAddr(id).AddrPort())
		return
	}
	p.chooseLocked(id, pw)
}

// chooseLocked sends packets the best way.
func (p *paths) chooseLocked(id PeerID, pw *pathway) {
	now := p.links.wall.clock()
	ways := make([]path.Way, len(pw.ways))
	present := -1
	for i, w := range pw.ways {
		ways[i] = path.Way{Kind: w.kind, Silent: now.Sub(time.Unix(0, w.heard.Load()))}
		if w == pw.present {
			present = i
		}
	}
	best := pw.ways[path.Best(ways, present)]
	if best == pw.present {
		return
	}
	pw.present = best
	p.board.Route(virtualAddr(id).AddrPort(), best.hop)
	if l := p.links.held(id); l != nil && l.virtual {
		p.links.book.reached(id, "", pathOf(best.kind), best.via)
	}
	p.log.Debug("way chosen", "peer", id.Short(), "kind", best.kind.String(), "via", best.via.Short())
}

func pathOf(k path.Kind) Path {
	switch k {
	case path.Relayed:
		return PathRelayed
	case path.TCP:
		return PathTCP
	case path.Punched:
		return PathPunched
	case path.Direct:
	}
	return PathDirect
}

// present returns the way in use to a peer, or nil.
func (p *paths) present(id PeerID) *way {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pw := p.peers[id]; pw != nil {
		return pw.present
	}
	return nil
}

// tend looks after the ways: it takes another one where the present one is
// silent, and gives up those on which nothing runs. It is called again and
// again.
func (p *paths) tend() {
	now := p.links.wall.clock()
	running := map[PeerID]bool{}
	for _, l := range p.links.all() {
		if l.virtual {
			running[l.peer] = true
		}
	}
	var over []*way
	p.mu.Lock()
	for id, pw := range p.peers {
		if running[id] {
			pw.idle = now
		} else if now.Sub(pw.idle) > wayLingering {
			over = append(over, pw.ways...)
			continue
		}
		if len(pw.ways) > 1 {
			p.chooseLocked(id, pw)
		}
	}
	p.mu.Unlock()
	for _, w := range over {
		w.end()
	}
}

// carrier is how envelopes get to the other end of a connection; nil if they
// would need a relay themselves.
func (p *paths) carrier(l *link) switchboard.Carrier {
	if !l.virtual {
		return carrier{l}
	}
	if w := p.present(l.peer); w != nil && w.kind != path.Relayed {
		return w.hop.Carrier
	}
	return nil
}

// carrier takes envelopes to the other end of an ordinary connection.
type carrier struct{ *link }

// Address is where the connection leads now.
func (c carrier) Address() *net.UDPAddr {
	u, _ := c.conn.RemoteAddr().(*net.UDPAddr)
	return u
}

// Send is called only if Address is nil, which it never is on a UDP socket.
func (carrier) Send([]byte) {}
