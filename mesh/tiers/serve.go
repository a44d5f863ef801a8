package tiers

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/slapmesh/slapmesh/mesh/frame"
)

// Serve answers a peer that opened a stream, and closes it.
func (t *Tiers) Serve(c net.Conn, from string) {
	defer func() { _ = c.Close() }() // what matters was answered
	for first := true; ; first = false {
		if err := c.SetDeadline(t.cfg.Clock().Add(t.cfg.Timeout)); err != nil {
			return
		}
		var r request
		if err := read(c, &r); err != nil {
			if !errors.Is(err, io.EOF) {
				t.cfg.Log.Debug("question not read", "peer", from, "err", err)
			}
			return
		}
		r.first = first
		more, err := t.answer(c, from, r)
		if err != nil {
			t.cfg.Log.Debug("question not answered", "peer", from, "err", err)
		}
		if !more || err != nil {
			return
		}
	}
}

func (t *Tiers) answer(c net.Conn, from string, r request) (more bool, err error) {
	switch r.Op {
	case opTell:
		return t.hear(c, from, r)
	case opGreet:
		return false, frame.Write(c, t.greeted())
	case opAttach:
		return false, frame.Write(c, t.asked(from, r))
	case opLeave:
		return false, frame.Write(c, t.left(from, r))
	case opDetach:
		t.mu.Lock()
		if t.held[from] != nil {
			t.releaseLocked(from)
		}
		t.mu.Unlock()
		return false, frame.Write(c, answer{Format: format})
	case opPull:
		return false, frame.Write(c, t.pulled(from, r))
	}
	return false, frame.Write(c, answer{Format: format, Refused: true})
}

// greeted says where this peer is, and who gossips.
func (t *Tiers) greeted() answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.attached {
		return answer{Format: format, Verdict: Elsewhere, Pool: t.namesLocked()}
	}
	return answer{Format: format, Verdict: InPool}
}

// namesLocked is who gossips, as descriptors: some of them, as they come.
func (t *Tiers) namesLocked() [][]byte {
	var out [][]byte
	for id, s := range t.view.peers {
		if s.flags&flagPool == 0 || id == t.cfg.Self {
			continue
		}
		if d, _, hidden, ok := t.cfg.Book.Descriptor(id); ok && !hidden {
			if out = append(out, d); len(out) == namedPool {
				break
			}
		}
	}
	return out
}

// asked answers a peer that wants a place, and holds it if it is to.
func (t *Tiers) asked(from string, r request) answer {
	if r.Descriptor != nil {
		if id, err := t.cfg.Book.Put(r.Descriptor); err != nil || id != from {
			return answer{Format: format, Refused: true}
		}
	}
	_, seq, _, known := t.cfg.Book.Descriptor(from)
	if !known || seq < r.Seq {
		return answer{Format: format, Verdict: Unknown}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	a := answer{Format: format, Verdict: Judge(t.sceneLocked(from, r.Hidden))}
	if a.Verdict == Elsewhere {
		a.Pool = t.namesLocked()
	}
	if a.Verdict != Held || !r.Take {
		return a
	}
	now := t.cfg.Clock()
	heard, _ := t.cfg.Network.Heard(from)
	t.held[from] = &lease{heard: heard, since: now}
	if t.claims.set(from, flagAlive, seq) {
		t.wakeUp()
	}
	t.refreshLocked(from)
	switch tl := t.tellings[from]; {
	case !r.Follow:
		if tl != nil && tl.view {
			delete(t.tellings, from)
		}
	case tl == nil || !tl.view || tl.acked != r.Have && !tl.busy:
		t.tellings[from] = &telling{view: true, acked: r.Have}
		t.wakeUp()
	}
	return a
}

// sceneLocked is what there is to know when a peer asks for a place.
func (t *Tiers) sceneLocked(asker string, hidden bool) Scene {
	s := Scene{
		Pooled: !t.attached && t.drained.IsZero(), Hidden: t.cfg.Hidden(), AskerHidden: hidden,
		Want: PoolSize(t.aliveLocked(), t.cfg.Least), Full: len(t.held) >= maxHeld && t.held[asker] == nil,
	}
	s.Pool, s.Open = t.poolLocked()
	if s.Pool >= s.Want {
		return s
	}
	for id, p := range t.view.peers {
		if p.flags == flagAlive && id != asker && before(id, asker) && !t.hiddenLocked(id) {
			s.Ahead++
		}
	}
	return s
}

// left notes that a peer leaves the mesh.
func (t *Tiers) left(from string, r request) answer {
	if id, err := t.cfg.Book.Put(r.Descriptor); err != nil || id != from {
		return answer{Format: format, Refused: true}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held[from] != nil {
		t.releaseLocked(from)
	}
	return answer{Format: format}
}

// pulled tells a peer whom this one holds, if what that has is not it.
func (t *Tiers) pulled(from string, r request) answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tl := t.tellings[from]; tl != nil && !tl.view && r.Have != t.claims.version {
		tl.acked = r.Have // of another life, perhaps: then all is told, even if it is nothing
		t.wakeUp()
	}
	return answer{Format: format}
}

// releaseLocked gives a peer up.
func (t *Tiers) releaseLocked(peer string) {
	delete(t.held, peer)
	if tl := t.tellings[peer]; tl != nil && tl.view {
		delete(t.tellings, peer)
	}
	_, seq, _, _ := t.cfg.Book.Descriptor(peer)
	if t.claims.set(peer, 0, seq) {
		t.claims.bury()
		t.wakeUp()
	}
	t.refreshLocked(peer)
}

// watchHeld gives up those that are silent.
func (t *Tiers) watchHeld(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, l := range t.held {
		if t.silent(id, l, now) {
			t.cfg.Log.Debug("attached peer is silent", "peer", id)
			t.releaseLocked(id)
		}
	}
}

// silent reports whether nothing was heard over a lease for too long.
func (t *Tiers) silent(peer string, l *lease, now time.Time) bool {
	heard, ok := t.cfg.Network.Heard(peer)
	if ok && heard != l.heard {
		l.heard, l.since = heard, now
		return false
	}
	return now.Sub(l.since) > t.cfg.Silence
}
