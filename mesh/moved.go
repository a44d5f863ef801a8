package mesh

import (
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"

	"github.com/slapmesh/slapmesh/mesh/switchboard"
)

// QUIC follows the end that dialled to another address, and not the end that
// was dialled. So that one, when it hears nothing any more, says where it is
// now: from there, in a signal that only the other end of this very connection
// can have made or can check. Who dialled asks back, at that address, and what
// is answered there is where it sends from then on. This works as far as who
// dialled is reached at the address that it dialled from.

// signalMoved is what the dialled end sends: "I am here now".
const signalMoved byte = 3

// A bearing is what is known of where the other end of an ordinary connection
// is, at the end that dialled it; at the other end it answers for this one.
type bearing struct {
	board  *switchboard.Board
	label  switchboard.Label
	send   []byte // key of what we send
	accept []byte // key of what we get

	dialled netip.AddrPort // where the other end was; invalid at the end that was dialled

	mu     sync.Mutex
	last   uint64         // number of the last word that was heard, or said
	asked  uint64         // number of the question that is under way; 0: none
	at     netip.AddrPort // where that went
	moved  bool
	closed bool
}

// bearing prepares to follow the other end of an ordinary connection, or to be
// followed. Label and keys come from the connection, so that nothing needs to
// be said for it. It is nil where that cannot be.
func (p *paths) bearing(l *link) *bearing {
	state := l.conn.ConnectionState().TLS
	material, err := state.ExportKeyingMaterial("slapd moved", nil, 8+2*32)
	at, ok := addrPortOf(l.conn.RemoteAddr())
	if err != nil || !ok {
		return nil
	}
	b := &bearing{board: p.board, label: switchboard.Label(binary.BigEndian.Uint64(material)), send: material[8:40], accept: material[40:]}
	if l.dialled {
		b.dialled = at
		b.send, b.accept = b.accept, b.send
	}
	b.board.Plug(b.label, switchboard.Port{From: net.UDPAddrFromAddrPort(at), Heard: func() {}})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bearings[b.label] = b
	return b
}

// forget ends a bearing with its connection.
func (p *paths) forget(b *bearing) {
	p.mu.Lock()
	delete(p.bearings, b.label)
	p.mu.Unlock()
	b.board.Unplug(b.label)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed = true; b.moved {
		b.board.Redirect(b.dialled, b.dialled)
	}
}

// say tells the end that dialled where this one is: where this comes from.
func (b *bearing) say(to netip.AddrPort) {
	b.mu.Lock()
	b.last++
	number := b.last
	b.mu.Unlock()
	b.signal(signalMoved, number, to)
}

func (b *bearing) signal(kind byte, number uint64, to netip.AddrPort) {
	e := switchboard.Header(make([]byte, 0, switchboard.HeaderSize+signalSize), switchboard.Signal, b.label)
	b.board.Send((*switchboard.At)(net.UDPAddrFromAddrPort(to)), append(e, makeSignal(b.send, kind, number)...))
}

// hear takes a signal that came from an address.
func (b *bearing) hear(content []byte, from netip.AddrPort) {
	kind, number, ok := parseSignal(b.accept, content)
	if !ok {
		return
	}
	switch dialled := b.dialled.IsValid(); {
	case kind == signalProbe && !dialled:
		b.signal(signalAnswer, number, from)
	case kind == signalMoved && dialled:
		if question, ok := b.question(number, from); ok {
			b.signal(signalProbe, question, from)
		}
	case kind == signalAnswer && dialled:
		b.follow(number, from)
	}
}

// question chooses what to ask an address from which a new word came.
func (b *bearing) question(number uint64, from netip.AddrPort) (uint64, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if number <= b.last {
		return 0, false // an old one, repeated
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		panic(err) // crypto/rand never fails
	}
	b.last, b.at, b.asked = number, from, binary.BigEndian.Uint64(random[:])|1
	return b.asked, true
}

// follow sends to the address that answered from now on.
func (b *bearing) follow(number uint64, from netip.AddrPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if number != b.asked || from != b.at || b.closed {
		return
	}
	b.asked, b.moved = 0, from != b.dialled
	b.board.Redirect(b.dialled, from)
}
