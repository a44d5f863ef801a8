package mesh

import (
	"sync"
	"time"
)

// A bucket lets rate events through in each second.
type bucket struct {
	clock func() time.Time
	rate  int

	mu    sync.Mutex
	until time.Time
	left  int
}

// take reports whether one more event fits.
func (b *bucket) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := b.clock(); now.After(b.until) {
		b.until, b.left = now.Add(time.Second), b.rate
	}
	if b.left == 0 {
		return false
	}
	b.left--
	return true
}
