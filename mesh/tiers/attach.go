package tiers

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// asksAtOnce is how many peers a newcomer asks for a place.
const asksAtOnce = 5

// Enter looks for the mesh through some of its peers, and waits until all of
// them answered or failed. One that is alone, or lost its place, asks for one;
// one of the pool joins it to those that it does not know.
func (t *Tiers) Enter(peers []string) {
	t.mu.Lock()
	alone := t.homelessLocked()
	t.mu.Unlock()
	if !alone {
		t.greet(peers)
		return
	}
	verdicts, named := t.askAll(peers)
	if len(verdicts[Held]) == 0 && len(verdicts[InPool]) == 0 && len(verdicts[Elsewhere]) > 0 {
		more, _ := t.askAll(Order(t.cfg.Self, named)[:min(len(named), asksAtOnce)])
		verdicts = more
	}
	switch {
	case len(verdicts[Held]) > 0:
		t.settle(verdicts[Held])
	case len(verdicts[InPool]) > 0:
		t.gossip(verdicts[InPool])
	}
}

// homelessLocked reports whether this peer has nobody.
func (t *Tiers) homelessLocked() bool {
	return len(t.holders) == 0 && len(t.pool) == 0
}

// askAll asks some peers for a place at the same time. It returns who gave
// which verdict, and whom they named.
func (t *Tiers) askAll(peers []string) (map[Verdict][]string, []string) {
	var (
		mu       sync.Mutex
		wg       sync.WaitGroup
		verdicts = make(map[Verdict][]string)
		named    []string
	)
	for _, p := range peers {
		wg.Go(func() {
			a, err := t.ask(p, request{Op: opAttach}, true)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, ErrOld): // it knows nothing of attaching
				verdicts[InPool] = append(verdicts[InPool], p)
			case err != nil:
				t.cfg.Log.Debug("no place there", "peer", p, "err", err)
			default:
				verdicts[a.Verdict] = append(verdicts[a.Verdict], p)
				named = append(named, t.introduced(a)...)
			}
		})
	}
	wg.Wait()
	slices.Sort(named)
	return verdicts, slices.Compact(named)
}

// ErrOld is what Network.Open wraps if a peer is too old to answer.
var ErrOld = errors.New("the peer knows nothing of attached peers")

// ask asks one peer for a place. Who is introduced shows its descriptor;
// others do so if the peer does not know them.
func (t *Tiers) ask(peer string, r request, introduce bool) (answer, error) {
	own, seq, _, _ := t.cfg.Book.Descriptor(t.cfg.Self)
	r.Format, r.Seq, r.Hidden = format, seq, t.cfg.Hidden()
	if introduce {
		r.Descriptor = own
	}
	a, err := t.exchange(peer, r)
	switch {
	case err != nil:
		return a, err
	case a.Refused:
		return a, errors.New("it refuses")
	case a.Verdict == Unknown && !introduce:
		return t.ask(peer, r, true)
	}
	return a, nil
}

// introduced notes the peers that an answer names.
func (t *Tiers) introduced(a answer) []string {
	var out []string
	for _, d := range a.Pool {
		if id, err := t.cfg.Book.Put(d); err == nil && id != t.cfg.Self {
			out = append(out, id)
		}
	}
	return out
}

// greet joins the pool to the pools of others that were away.
func (t *Tiers) greet(peers []string) {
	var wg sync.WaitGroup
	for _, p := range peers {
		wg.Go(func() {
			a, err := t.exchange(p, request{Format: format, Op: opGreet})
			var others []string
			if errors.Is(err, ErrOld) || err == nil && a.Verdict == InPool {
				others = append(others, p)
			} else if err == nil {
				others = t.introduced(a)
			}
			t.mu.Lock()
			others = slices.DeleteFunc(others, func(id string) bool { return t.pool[id] })
			t.mu.Unlock()
			if len(others) > 0 {
				t.join(others[:min(len(others), 2)])
			}
		})
	}
	wg.Wait()
}

// join joins the pool to others, if this peer is of it.
func (t *Tiers) join(others []string) {
	t.moving <- struct{}{}
	defer func() { <-t.moving }()
	t.mu.Lock()
	attached := t.attached
	t.mu.Unlock()
	if !attached {
		t.cfg.Pool.Join(others)
	}
}

// earlier is under which name a list is kept that its author tells no more.
const earlier = ""

// gossip makes this peer one of the pool.
func (t *Tiers) gossip(with []string) {
	t.moving <- struct{}{}
	defer func() { <-t.moving }()
	t.mu.Lock()
	was := t.attached
	old := t.followed
	t.attached, t.followed = false, ""
	if was {
		told := t.lists[old]
		clear(t.lists)
		if told != nil { // it counts until the others said whom they hold
			t.lists[earlier], t.ends[earlier] = told, t.cfg.Clock().Add(2*t.cfg.Grace)
		}
	}
	holders := t.holders
	t.holders = map[string]*lease{}
	t.refreshLocked(t.cfg.Self)
	t.mu.Unlock()
	t.cfg.Pool.Join(with)
	for id := range holders {
		t.detach(id)
	}
}

func (t *Tiers) detach(peer string) {
	if _, err := t.exchange(peer, request{Format: format, Op: opDetach}); err != nil {
		t.cfg.Log.Debug("not detached", "peer", peer, "err", err)
	}
}

// settle makes this peer an attached one, held by some that offered it.
func (t *Tiers) settle(by []string) {
	t.leavePool(by)
	t.seek()
}

func (t *Tiers) leavePool(by []string) {
	t.moving <- struct{}{}
	defer func() { <-t.moving }()
	now := t.cfg.Clock()
	t.mu.Lock()
	was := t.attached
	t.attached = true
	t.drained, t.orphaned = time.Time{}, now
	if !was {
		for id := range t.held {
			t.releaseLocked(id)
		}
		for id := range t.pool {
			delete(t.tellings, id)
		}
		clear(t.pool)
		clear(t.lists)
		clear(t.ends)
		t.followed = ""
	}
	t.refreshLocked(t.cfg.Self)
	t.mu.Unlock()
	for _, id := range by[:min(len(by), t.cfg.Holders)] {
		t.hold(id, false)
	}
	if !was {
		t.cfg.Pool.Leave()
	}
}

// review looks whether a peer of the pool should rather be attached.
func (t *Tiers) review(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.attached || now.Sub(t.reviewed) < review || len(t.pool) == 0 {
		return
	}
	t.reviewed = now
	_, open := t.poolLocked()
	var others []string
	for id := range t.pool {
		others = append(others, id)
	}
	if !Surplus(t.cfg.Hidden(), open, Rank(t.cfg.Self, others), PoolSize(t.aliveLocked(), t.cfg.Least)) {
		t.drained = time.Time{}
		return
	}
	// Those that are held here find another place before this one is given up.
	if t.drained.IsZero() {
		t.drained = now
	}
	if len(t.held) > 0 && now.Sub(t.drained) < 2*t.cfg.Again || t.seeking {
		return
	}
	t.cfg.Spawn(t.step)
}

// step goes from the pool to who holds this peer.
func (t *Tiers) step() {
	candidates := t.candidates()
	verdicts, _ := t.askAll(candidates[:min(len(candidates), t.cfg.Holders)])
	if len(verdicts[Held]) > 0 {
		t.settle(verdicts[Held])
	}
}

// Leave tells who holds this peer that it leaves the mesh, with a descriptor
// that says so.
func (t *Tiers) Leave(descriptor []byte) {
	t.mu.Lock()
	holders := t.holders
	t.holders = map[string]*lease{}
	t.mu.Unlock()
	var wg sync.WaitGroup
	for id := range holders {
		wg.Go(func() {
			if _, err := t.exchange(id, request{Format: format, Op: opLeave, Descriptor: descriptor}); err != nil {
				t.cfg.Log.Debug("goodbye not heard", "peer", id, "err", err)
			}
		})
	}
	wg.Wait()
}
