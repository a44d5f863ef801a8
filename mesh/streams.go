package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
)

// The answer to the opening of a stream is one byte.
const (
	answerYes       byte = 0
	answerForbidden byte = 1 // the peer may not open streams of this kind
	answerNobody    byte = 2 // nothing listens for the kind
	answerBusy      byte = 3 // too many streams wait to be accepted
)

// Why a peer did not accept a stream.
var (
	ErrForbidden = errors.New("the peer does not allow us this kind of stream")
	ErrNobody    = errors.New("nothing listens at the peer for this kind of stream")
	ErrBusy      = errors.New("the peer is too busy")
)

const (
	// acceptQueue is how many streams of a kind wait to be accepted.
	acceptQueue = 256
	// greeting bounds how long an opened stream may keep its kind to itself.
	greeting = 5 * time.Second
)

// streams sorts incoming streams by kind and opens outgoing ones.
type streams struct {
	self      PeerID
	links     *links
	authorize func(PeerID, Kind) error
	log       *slog.Logger
	tally     tally

	mu        sync.Mutex
	listeners map[Kind]*listener
	closed    bool
}

// accept answers a stream that a peer opened and hands it to its listener.
func (s *streams) accept(l *link, stream *quic.Stream) {
	late := time.AfterFunc(greeting, func() {
		stream.CancelRead(streamReset)
		stream.CancelWrite(streamReset)
	})
	defer late.Stop()
	var kind [1]byte
	_, err := io.ReadFull(stream, kind[:])
	<-l.unnamed
	if err != nil {
		stream.CancelWrite(streamReset)
		return
	}
	l.streams.Add(1)
	counted, ok := s.tally.take(l.peer, Kind(kind[0]))
	c := &conn{Stream: stream, local: s.self, remote: l.peer, link: l, release: func() {
		if Kind(kind[0]) != kindPath { // whoever opened it watches over the connection
			l.streams.Add(-1)
		}
		if ok {
			counted()
		}
	}}
	if Kind(kind[0]) == kindPath {
		l.streams.Add(-1)
	}
	l.note(c, Kind(kind[0]))
	answer := answerBusy
	if ok {
		answer = s.admit(l.peer, Kind(kind[0]))
	}
	if _, err := stream.Write([]byte{answer}); err != nil || answer != answerYes {
		_ = c.Close() // never fails
		return
	}
	s.deliver(Kind(kind[0]), c)
}

// admit decides what to answer.
func (s *streams) admit(peer PeerID, kind Kind) byte {
	if kind != kindGossip && kind != kindPath && kind != kindTiers && peer != s.self {
		if err := s.authorize(peer, kind); err != nil {
			s.log.Debug("stream refused", "peer", peer.Short(), "kind", kind.String(), "err", err)
			return answerForbidden
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch l := s.listeners[kind]; {
	case l == nil:
		return answerNobody
	case len(l.ch) == cap(l.ch):
		return answerBusy
	}
	return answerYes
}

// deliver queues a stream for Accept. A stream for which there is no place
// any more is reset.
func (s *streams) deliver(kind Kind, c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.listeners[kind]; l != nil {
		select {
		case l.ch <- c:
			return
		default:
		}
	}
	c.(HalfCloser).Reset()
}

// open opens a stream to a peer.
func (s *streams) open(ctx context.Context, peer PeerID, kind Kind) (net.Conn, error) {
	if peer == s.self {
		return s.openSelf(kind)
	}
	// A connection that was held may lead to a process that is gone. Then it
	// does not answer, or answers with a reset: one fresh one is tried.
	for {
		held := s.links.held(peer)
		l := held
		if l == nil {
			var err error
			if l, err = s.links.get(ctx, peer); err != nil {
				return nil, err
			}
		}
		heard := l.conn.ConnectionStats().PacketsReceived
		c, err := s.openOn(ctx, l, kind, &l.streams)
		switch {
		case err == nil:
			return c, nil
		case ctx.Err() == nil && l.alive() && l.conn.ConnectionStats().PacketsReceived != heard && !isAnswer(err):
			// It is there and does not keep up: what else runs on the connection
			// shall not end for it.
			return nil, fmt.Errorf("%w: %w", ErrBusy, err)
		case isAnswer(err):
			return nil, err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		s.links.end(l, codeSilent, "no answer")
		if held == nil {
			s.links.book.lost(peer)
			return nil, err
		}
	}
}

// isAnswer reports whether a stream was not opened for what the peer answered.
func isAnswer(err error) bool {
	return errors.Is(err, ErrForbidden) || errors.Is(err, ErrNobody) || errors.Is(err, ErrBusy)
}

// openOn opens a stream over a connection and waits for the answer. While it
// is open it is counted.
func (s *streams) openOn(ctx context.Context, l *link, kind Kind, counted *atomic.Int32) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.links.profile.Open, errors.New("the peer does not answer"))
	defer cancel()
	stream, err := l.conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	counted.Add(1)
	c := &conn{Stream: stream, local: s.self, remote: l.peer, link: l, opened: true, release: func() { counted.Add(-1) }}
	l.note(c, kind)
	l.wrote.Add(1)
	undisturbed := context.AfterFunc(ctx, c.Reset)
	answer := []byte{byte(kind)}
	_, err = stream.Write(answer)
	if err == nil {
		_, err = io.ReadFull(stream, answer)
	}
	if !undisturbed() {
		err = context.Cause(ctx)
	}
	if err == nil {
		err = answerError(answer[0])
	}
	if err != nil {
		c.Reset()
		return nil, err
	}
	return c, nil
}

func answerError(answer byte) error {
	switch answer {
	case answerYes:
		return nil
	case answerForbidden:
		return ErrForbidden
	case answerNobody:
		return ErrNobody
	case answerBusy:
		return ErrBusy
	}
	return fmt.Errorf("unknown answer %d: is the peer newer than this one?", answer)
}

// openSelf opens a stream to this peer, in memory.
func (s *streams) openSelf(kind Kind) (net.Conn, error) {
	if err := answerError(s.admit(s.self, kind)); err != nil {
		return nil, err
	}
	here, there := newPipe(Addr{s.self})
	s.deliver(kind, there)
	return here, nil
}

// listen begins to accept streams of a kind.
func (s *streams) listen(kind Kind) *listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &listener{streams: s, kind: kind, ch: make(chan net.Conn, acceptQueue), done: make(chan struct{})}
	if s.closed || s.listeners[kind] != nil {
		close(l.done) // accepts nothing
		return l
	}
	s.listeners[kind] = l
	return l
}

// close ends all listeners.
func (s *streams) close() {
	s.mu.Lock()
	s.closed = true
	var all []*listener
	for _, l := range s.listeners {
		all = append(all, l)
	}
	s.mu.Unlock()
	for _, l := range all {
		_ = l.Close() // never fails
	}
}

// A listener accepts the streams of one kind.
type listener struct {
	streams *streams
	kind    Kind
	ch      chan net.Conn // sent to while streams.mu is held
	done    chan struct{}
}

// Accept waits for the next stream.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-l.ch:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close stops accepting. Streams that nobody accepted are reset.
func (l *listener) Close() error {
	l.streams.mu.Lock()
	defer l.streams.mu.Unlock()
	if l.streams.listeners[l.kind] != l {
		return nil
	}
	delete(l.streams.listeners, l.kind)
	close(l.done)
	for {
		select {
		case c := <-l.ch:
			c.(HalfCloser).Reset()
		default:
			return nil
		}
	}
}

// Addr is this peer.
func (l *listener) Addr() net.Addr { return Addr{l.streams.self} }
