package mesh

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/slapmesh/slapmesh/mesh/switchboard"
)

// What a signal says: a probe, or the answer to one.
const (
	signalProbe  byte = 1
	signalAnswer byte = 2
	signalSize        = 1 + 8 + 16 // kind, number, proof
)

// signal sends a probe or an answer.
func (h *punch) signal(kind byte, number uint64, to netip.AddrPort) {
	h.mu.Lock()
	label := h.theirs
	h.mu.Unlock()
	if label == 0 {
		return
	}
	b := switchboard.Header(make([]byte, 0, switchboard.HeaderSize+signalSize), switchboard.Signal, label)
	h.paths.board.Send((*switchboard.At)(net.UDPAddrFromAddrPort(to)), append(b, makeSignal(h.send, kind, number)...))
}

// makeSignal writes a signal and proves it.
func makeSignal(key []byte, kind byte, number uint64) []byte {
	content := binary.BigEndian.AppendUint64([]byte{kind}, number)
	return append(content, signalProof(key, content)...)
}

func signalProof(key, content []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(content)
	return mac.Sum(nil)[:16]
}

// parseSignal reads what makeSignal wrote, if it was made with the key.
func parseSignal(key, content []byte) (kind byte, number uint64, ok bool) {
	if len(content) != signalSize || !hmac.Equal(signalProof(key, content[:9]), content[9:]) {
		return 0, 0, false
	}
	return content[0], binary.BigEndian.Uint64(content[1:9]), true
}

// onSignal takes a probe or an answer. A probe is answered to where it came
// from, with as many bytes; an answer to one of ours makes that a way.
func (p *paths) onSignal(label switchboard.Label, content []byte, from *net.UDPAddr) {
	p.mu.Lock()
	h, b := p.signals[label], p.bearings[label]
	p.mu.Unlock()
	at, readable := addrPortOf(from)
	switch {
	case from == nil || !readable || h == nil && b == nil:
		return
	case b != nil:
		b.hear(content, at)
		return
	}
	kind, number, ok := parseSignal(h.accept, content)
	if !ok {
		return
	}
	switch kind {
	case signalProbe:
		h.probe([]netip.AddrPort{at})
		h.signal(signalAnswer, number, at)
	case signalAnswer:
		h.answer(number, at)
	}
}

// answer makes the address a way, the first one of all.
func (h *punch) answer(number uint64, at netip.AddrPort) {
	now := h.paths.links.wall.clock()
	h.mu.Lock()
	ours := number-h.nonce <= h.round && number != h.nonce
	first := ours && !h.failed && h.answered.IsZero()
	if ours {
		h.answered = now
	}
	if first {
		h.way.hop = switchboard.Hop{Carrier: (*switchboard.At)(net.UDPAddrFromAddrPort(at)), Label: h.theirs}
	}
	h.mu.Unlock()
	if !first {
		return
	}
	h.way.heard.Store(now.UnixNano())
	h.way.end = func() {
		h.mu.Lock()
		end := h.end
		h.mu.Unlock()
		end()
	}
	h.paths.add(h.peer, h.way)
	h.found <- at
}
