// Package view shares one changing ledger.State with many readers.
//
// A [Board] holds the state. Its one writer changes it with [Board.Update];
// readers take a [Board.View], wait for an index, or subscribe to what
// concerns them. A view is a copy that never changes, taken in constant time
// and shared by all who ask before the next change, so readers neither wait
// for the writer nor hold it up.
package view

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/slapmesh/slapmesh/ledger"
)

// A Board shows a state to readers. Use [New].
type Board struct {
	shown atomic.Pointer[ledger.State] // a copy; never changes
	state *ledger.State                // the writer's own

	mu      sync.Mutex         // guards what follows
	waiting map[uint64]*waiter // by index
	readers map[ledger.Topic]map[*Subscription]struct{}
}

// A waiter is all who wait for one index.
type waiter struct {
	reached chan struct{}
	count   int
}

// New returns a board that shows state, which belongs to the board now.
func New(state *ledger.State) *Board {
	b := &Board{state: state, waiting: make(map[uint64]*waiter), readers: make(map[ledger.Topic]map[*Subscription]struct{})}
	b.shown.Store(state.Copy())
	return b
}

// View returns the state as it was after the last change. It never waits.
// It is shared: nobody may change it.
func (b *Board) View() *ledger.State { return b.shown.Load() }

// Update has change modify the state and say what it changed, then shows
// the result and wakes those whom it concerns. There is one writer: Update,
// Replace and Restart may not run at the same time.
func (b *Board) Update(change func(*ledger.State) []ledger.Change) {
	changes := change(b.state)
	b.shown.Store(b.state.Copy())

	b.mu.Lock()
	defer b.mu.Unlock()
	b.wakeLocked(changes)
}

// Replace shows another state, which belongs to the board now, and wakes
// those whom the changes to it concern.
func (b *Board) Replace(state *ledger.State, changes []ledger.Change) {
	b.Update(func(*ledger.State) []ledger.Change {
		b.state = state
		return changes
	})
}

// Restart shows another state, which belongs to the board now, and wakes
// everyone: nobody knows what changed.
func (b *Board) Restart(state *ledger.State) {
	b.Replace(state, nil)

	b.mu.Lock()
	defer b.mu.Unlock()
	for _, all := range b.readers {
		for r := range all {
			r.wake()
		}
	}
}

func (b *Board) wakeLocked(changes []ledger.Change) {
	now := b.View().Index()
	for index, w := range b.waiting {
		if index <= now {
			close(w.reached)
			delete(b.waiting, index)
		}
	}
	if len(b.readers) == 0 {
		return
	}
	for r := range b.readers[ledger.TopicIndex()] {
		r.wake()
	}
	var woken map[ledger.Topic]bool
	for _, c := range changes {
		for t := range c.Topics {
			all := b.readers[t]
			if len(all) == 0 || woken[t] {
				continue
			}
			if woken == nil {
				woken = make(map[ledger.Topic]bool)
			}
			woken[t] = true
			for r := range all {
				r.wake()
			}
		}
	}
}

// WaitIndex returns when the view contains the log up to index, or with the
// error of ctx.
func (b *Board) WaitIndex(ctx context.Context, index uint64) error {
	reached, forget := b.Await(index)
	select {
	case <-reached:
		return nil
	case <-ctx.Done():
		forget()
		return context.Cause(ctx)
	}
}

// Await returns a channel that is closed when the view contains the log up to
// index. Who gives up waiting must call forget.
func (b *Board) Await(index uint64) (reached <-chan struct{}, forget func()) {
	if b.View().Index() >= index {
		return always, func() {}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.View().Index() >= index {
		return always, func() {}
	}
	w := b.waiting[index]
	if w == nil {
		w = &waiter{reached: make(chan struct{})}
		b.waiting[index] = w
	}
	w.count++
	return w.reached, func() { b.forget(index, w) }
}

// always is closed.
var always = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (b *Board) forget(index uint64, w *waiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.count--; w.count == 0 && b.waiting[index] == w {
		delete(b.waiting, index)
	}
}

// A Subscription says when something changed.
type Subscription struct {
	board  *Board
	topics []ledger.Topic
	c      chan struct{}
}

// Subscribe returns a subscription to the given topics. It must be closed.
// Its channel holds a value from the start, so that a reader looks once
// before it waits.
func (b *Board) Subscribe(topics ...ledger.Topic) *Subscription {
	r := &Subscription{b, topics, make(chan struct{}, 1)}
	r.wake()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range topics {
		if b.readers[t] == nil {
			b.readers[t] = make(map[*Subscription]struct{})
		}
		b.readers[t][r] = struct{}{}
	}
	return r
}

// Changed receives a value when it is worth taking a view again. Values that
// nobody has received are merged: a slow reader misses nothing but time.
func (r *Subscription) Changed() <-chan struct{} { return r.c }

func (r *Subscription) wake() {
	select {
	case r.c <- struct{}{}:
	default:
	}
}

// Close ends the subscription. The channel is not closed.
func (r *Subscription) Close() {
	r.board.mu.Lock()
	defer r.board.mu.Unlock()
	for _, t := range r.topics {
		delete(r.board.readers[t], r)
		if len(r.board.readers[t]) == 0 {
			delete(r.board.readers, t)
		}
	}
}
