package mesh

import (
	"errors"

	"github.com/quic-go/quic-go"
)

func (s *links) acceptStreams(l *link) {
	for {
		stream, err := l.conn.AcceptStream(s.ctx)
		if err != nil {
			s.drop(l)
			s.expelled(l, err)
			return
		}
		select {
		case l.unnamed <- struct{}{}:
		case <-l.conn.Context().Done():
			continue // as AcceptStream will say
		}
		s.spawn(func() { s.onStream(l, stream) })
	}
}

// expelled passes on that a peer ended the connection because this one was
// removed, and lets gossip leave it alone for a while. Only a peer whose
// certificate was checked can say so: such an end is read from packets that
// are encrypted with what the whole handshake agreed on.
func (s *links) expelled(l *link, err error) {
	end, ok := errors.AsType[*quic.ApplicationError](err)
	if !ok || !end.Remote || end.ErrorCode != codeRemoved {
		return
	}
	s.mu.Lock()
	s.backoff[l.peer] = &backoff{wait: backoffMax, until: s.wall.clock().Add(backoffMax)}
	s.mu.Unlock()
	s.onRemoved(l.peer)
}

func (s *links) receive(l *link) {
	packets := &bucket{clock: s.wall.clock, rate: packetsPerSecond}
	for {
		b, err := l.conn.ReceiveDatagram(s.ctx)
		if err != nil {
			return
		}
		if len(b) < 2 || !packets.take() {
			continue
		}
		switch b[0] {
		case datagramGossip:
			s.onDatagram(l.peer, b[1:])
		case datagramSeen:
			by, ok := addrPortOf(l.conn.RemoteAddr())
			if seen, readable := parseSeen(b[1:]); ok && readable && !l.virtual {
				s.paths.reach.observe(by.Addr(), seen)
			}
		}
	}
}
