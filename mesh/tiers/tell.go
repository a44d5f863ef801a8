package tiers

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/slapmesh/slapmesh/mesh/frame"
)

// A telling is how far a peer has heard a list.
type telling struct {
	view  bool   // what this peer sees; else whom it holds
	acked uint64 // the version that it has; 0: nothing
	busy  bool
	retry time.Time
	fails int
}

// tellingsAtOnce bounds how many are told at the same time.
const tellingsAtOnce = 64

// tell begins to tell everybody what they have not heard.
func (t *Tiers) tell() {
	t.mu.Lock()
	defer t.mu.Unlock()
	busy := 0
	for _, r := range t.tellings {
		if r.busy {
			busy++
		}
	}
	now := t.cfg.Clock()
	for peer, r := range t.tellings {
		list := t.listLocked(r)
		if r.busy || busy >= tellingsAtOnce || r.acked == list.version || r.acked == 0 && len(list.peers) == 0 || now.Before(r.retry) {
			continue
		}
		r.busy = true
		busy++
		from, entries := list.since(r.acked)
		to := list.version
		t.cfg.Spawn(func() { t.told(peer, r, from, to, entries) })
	}
}

func (t *Tiers) listLocked(r *telling) *table {
	if r.view {
		return &t.view
	}
	return &t.claims
}

// told tells one peer, and notes what it has then.
func (t *Tiers) told(peer string, r *telling, from, to uint64, entries []Entry) {
	have, err := t.tellOne(peer, r.view, from, to, entries)
	t.mu.Lock()
	defer t.mu.Unlock()
	r.busy = false
	if err != nil {
		r.fails++
		r.retry = t.cfg.Clock().Add(min(t.cfg.Gather<<min(r.fails, 8), t.cfg.Timeout))
		t.cfg.Log.Debug("list not told", "peer", peer, "err", err)
		return
	}
	r.acked, r.fails = have, 0
	if r.acked != t.listLocked(r).version {
		t.wakeUp()
	}
}

// tellOne sends a list in parts, with the descriptors that the other wants.
// It returns the version that the other has then, or 0.
func (t *Tiers) tellOne(peer string, view bool, from, to uint64, entries []Entry) (uint64, error) {
	c, err := t.cfg.Network.Open(peer, t.cfg.Timeout)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }() // nothing more is expected of it
	for {
		part := entries[:min(len(entries), partSize)]
		entries = entries[len(part):]
		if err := c.SetDeadline(t.cfg.Clock().Add(t.cfg.Timeout)); err != nil {
			return 0, err
		}
		if err := frame.Write(c, request{Format: format, Op: opTell, View: view, From: from, To: to, More: len(entries) > 0, Entries: part}); err != nil {
			return 0, err
		}
		var a answer
		if err := read(c, &a); err != nil {
			return 0, err
		}
		if a.Refused {
			if a.Have == from {
				return 0, errors.New("the list is not wanted")
			}
			return a.Have, nil
		}
		if len(a.Want) > 0 {
			var d descriptors
			for _, id := range a.Want {
				if encoded, _, _, ok := t.cfg.Book.Descriptor(id); ok {
					d.All = append(d.All, encoded)
				}
			}
			if err := frame.Write(c, d); err != nil {
				return 0, err
			}
		}
		if len(entries) == 0 {
			return to, awaitEnd(c)
		}
	}
}

// awaitEnd waits until the other end has taken everything in.
func awaitEnd(c net.Conn) error {
	var a answer
	if err := read(c, &a); err != nil {
		return fmt.Errorf("the list was not taken: %w", err)
	}
	return nil
}

// hear takes one part of a list from a peer. It reports whether the exchange
// goes on.
func (t *Tiers) hear(c net.Conn, from string, r request) (bool, error) {
	t.mu.Lock()
	refuse := !t.listenedLocked(from, r.View)
	var have uint64
	if l := t.lists[from]; l != nil {
		have = l.have
	}
	t.mu.Unlock()
	if refuse || r.From != 0 && r.From != have {
		if refuse {
			have = r.From
		}
		return false, frame.Write(c, answer{Format: format, Have: have, Refused: true})
	}
	a := answer{Format: format, Have: have}
	for _, e := range r.Entries {
		if _, seq, _, ok := t.cfg.Book.Descriptor(e.ID); (!ok || seq < e.Seq) && e.ID != t.cfg.Self {
			a.Want = append(a.Want, e.ID)
		}
	}
	if err := frame.Write(c, a); err != nil {
		return false, err
	}
	if len(a.Want) > 0 {
		var d descriptors
		if err := read(c, &d); err != nil {
			return false, err
		}
		for _, encoded := range d.All {
			if _, err := t.cfg.Book.Put(encoded); err != nil {
				t.cfg.Log.Debug("descriptor not taken", "by", from, "err", err)
			}
		}
	}
	t.take(from, r)
	if r.More {
		return true, nil
	}
	return false, frame.Write(c, answer{Format: format, Have: r.To})
}

// listenedLocked reports whether a list of a peer counts: claims of those who
// gossip, and what an attached one follows.
func (t *Tiers) listenedLocked(from string, view bool) bool {
	if view {
		return t.attached && from == t.followed
	}
	return !t.attached && t.pool[from]
}

// take notes a part of a list.
func (t *Tiers) take(from string, r request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.listenedLocked(from, r.View) {
		return
	}
	l := t.lists[from]
	if l == nil {
		l = &told{peers: map[string]uint64{}}
		t.lists[from] = l
	}
	if r.first {
		l.begin()
	}
	changed, ok := l.take(r.From, r.To, r.More, r.Entries)
	if !ok {
		return
	}
	for _, e := range r.Entries {
		t.refreshLocked(e.ID)
	}
	for _, id := range changed {
		t.refreshLocked(id)
	}
	if r.View && r.From == 0 && !r.More {
		t.onlyLocked(from, l)
	}
}

// onlyLocked ends all that the list does not say: what another one told
// before counts no more.
func (t *Tiers) onlyLocked(from string, l *told) {
	for id := range t.lists {
		if id != from {
			delete(t.lists, id)
		}
	}
	for id, s := range t.view.peers {
		if s.flags != 0 && l.peers[id] == 0 {
			t.refreshLocked(id)
		}
	}
}
