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
				s.log.Debug("peer does not answer", "peer", l.peer.Short())
				s.end(l, codeSilent, "no answer")
				s.lost(l.peer)
			}
		}
		s.paths.tend()
	}
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
