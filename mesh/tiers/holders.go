package tiers

import (
	"slices"
	"time"
)

// seek finds as many holders as wanted, follows one of them, and tells those
// that were not told for a while who this peer is.
func (t *Tiers) seek() {
	t.mu.Lock()
	if t.seeking || !t.attached {
		t.mu.Unlock()
		return
	}
	t.seeking, t.sought = true, t.cfg.Clock()
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		t.seeking = false
		t.mu.Unlock()
	}()
	for _, id := range t.candidates() {
		t.mu.Lock()
		enough := len(t.holders) >= t.cfg.Holders
		t.mu.Unlock()
		if enough {
			break
		}
		t.hold(id, false)
	}
	t.follow()
}

// candidates lists who could hold this peer besides those who do.
func (t *Tiers) candidates() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := slices.DeleteFunc(t.named, func(id string) bool { return t.holders[id] != nil })
	t.named = nil
	var seen []string
	for id, s := range t.view.peers {
		if s.flags&flagPool != 0 && id != t.cfg.Self && t.holders[id] == nil && !t.hiddenLocked(id) && !slices.Contains(out, id) {
			seen = append(seen, id)
		}
	}
	out = append(out, Order(t.cfg.Self, seen)...)
	return out[:min(len(out), 2*asksAtOnce)]
}

// hold asks a peer to hold this one, for the first time or again.
func (t *Tiers) hold(peer string, follow bool) bool {
	r := request{Op: opAttach, Take: true, Follow: follow}
	t.mu.Lock()
	if l := t.lists[peer]; l != nil && follow {
		r.Have = l.have
	}
	t.mu.Unlock()
	a, err := t.ask(peer, r, false)
	named := t.introduced(a)
	now := t.cfg.Clock()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil:
		if l := t.holders[peer]; l != nil {
			l.said = now.Add(t.cfg.Beat - t.cfg.Again) // once more, soon; silence is judged elsewhere
		}
		return false
	case a.Verdict == InPool && t.attached:
		t.cfg.Spawn(func() { t.gossip([]string{peer}) }) // not at once: this may be while it leaves
		return false
	case a.Verdict != Held:
		delete(t.holders, peer)
		t.named = named // who gossips now may not be known here yet
		return false
	}
	l := t.holders[peer]
	if l == nil {
		heard, _ := t.cfg.Network.Heard(peer)
		l = &lease{heard: heard, since: now}
		t.holders[peer] = l
	}
	l.said, t.orphaned = now, time.Time{}
	return true
}

// follow makes sure that one of the holders tells what changes.
func (t *Tiers) follow() {
	t.mu.Lock()
	if !t.attached || t.holders[t.followed] != nil || len(t.holders) == 0 {
		t.mu.Unlock()
		return
	}
	var all []string
	for id := range t.holders {
		all = append(all, id)
	}
	t.followed = Order(t.cfg.Self, all)[0]
	next := t.followed
	delete(t.lists, next)
	t.mu.Unlock()
	if !t.hold(next, true) {
		t.mu.Lock()
		t.followed = ""
		t.mu.Unlock()
	}
}

// watchHolders keeps the leases of an attached peer alive, gives up those
// that are silent, and looks for others.
func (t *Tiers) watchHolders(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.attached {
		return
	}
	for id, l := range t.holders {
		if t.silent(id, l, now) {
			t.cfg.Log.Debug("holder is silent", "peer", id)
			delete(t.holders, id)
			continue
		}
		if _, ok := t.cfg.Network.Heard(id); !ok || now.Sub(l.since) >= t.cfg.Beat {
			t.cfg.Network.Ping(id)
		}
		if now.Sub(l.said) > t.cfg.Again {
			l.said = now
			follow := id == t.followed
			t.cfg.Spawn(func() { t.hold(id, follow) })
		}
	}
	if len(t.holders) == 0 && t.orphaned.IsZero() {
		t.orphaned = now
	}
	missing := len(t.holders) < t.cfg.Holders || t.holders[t.followed] == nil
	switch {
	case len(t.holders) == 0 && now.Sub(t.orphaned) > t.cfg.Grace:
		t.beginAgainLocked()
	case missing && now.Sub(t.sought) >= t.cfg.Beat:
		t.cfg.Spawn(t.seek)
	}
}

// beginAgainLocked gives up: nobody is known to be there.
func (t *Tiers) beginAgainLocked() {
	t.attached, t.followed = false, ""
	clear(t.lists)
	for id := range t.view.peers {
		t.refreshLocked(id)
	}
	t.cfg.Spawn(func() { t.join(nil) })
}
