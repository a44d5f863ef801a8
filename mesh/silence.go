package mesh

import (
	"context"
	"time"
)

// probe watches over the connections until ctx is done: those with open
// streams are probed when silent, so that a dead peer costs its callers
// seconds, not the idle timeout; those whose certificates expired, or whose
// peer was removed, are closed.
func (s *links) probe(ctx context.Context) {
	tick := time.NewTicker(s.profile.Ping)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := s.wall.clock()
		for _, l := range s.all() {
			switch {
			case s.wall.revoked(l.peer):
				s.end(l, codeRemoved, "removed from the mesh")
			case now.After(l.expires.Add(clockTolerance)):
				s.end(l, codeExpired, "a certificate expired")
			case l.streams.Load() == 0 && l.retired.Load():
				s.end(l, codeSurplus, "replaced")
			case l.streams.Load() == 0 && l.kept.Load() == 0 && !l.asked.Load() && !l.doubt.Load():
				l.missed = 0
			case l.silent(now, s.silence(l, now), s.spawn):
				if !s.hold(l, now) {
					s.log.Debug("peer does not answer", "peer", l.peer.Short())
					s.end(l, codeSilent, "no answer")
					s.lost(l.peer)
				}
			}
			if at, ok := addrPortOf(l.conn.RemoteAddr()); ok && l.missed > 0 && !l.dialled && l.bearing != nil {
				l.bearing.say(at)
			}
		}
		s.paths.tend()
	}
}

// hold keeps a connection that is silent for the tunnels that run over it: the
// computer at one of its ends may be moving. Whoever asks something over another
// stream is told at once that there is no answer, and new streams go over
// another connection. It reports false if it is over.
func (s *links) hold(l *link, now time.Time) bool {
	switch {
	case l.virtual: // it was patient already
		return false
	case !l.heldAt.IsZero():
	case !l.resetOthers():
		return false
	default:
		s.log.Debug("peer does not answer: its tunnels wait", "peer", l.peer.Short())
		l.heldAt = now
		l.retired.Store(true)
		s.lost(l.peer)
	}
	l.missed = 1 // and so it is probed further
	return now.Sub(l.heldAt) < tunnelsWait
}

// silence is how long a connection may be silent before it is probed: not at
// all while a stream that was opened here has just written, as who asks does.
func (s *links) silence(l *link, now time.Time) time.Duration {
	if wrote := l.wrote.Load(); wrote != l.seen {
		l.seen, l.wroteAt = wrote, now
	}
	switch {
	case l.missed > 0, l.asked.Load(), l.doubt.Load(), l.streams.Load() > 0 && now.Sub(l.wroteAt) < waiting*s.profile.Ping:
		return 0
	case l.streams.Load() > 0:
		return waiting * s.profile.Ping
	}
	return keepAlive
}
