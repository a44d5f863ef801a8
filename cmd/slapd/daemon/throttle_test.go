package daemon

import (
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	var th throttle
	now := time.Unix(0, 0)
	r := rate{each: 2, burst: 5}
	for _, step := range []struct {
		after time.Duration
		tries int
		want  int
	}{
		{0, 9, 5},
		{time.Second, 9, 2},
		{time.Hour, 9, 5},
		{-time.Hour, 9, 0}, // the clock was set back
		{2 * time.Second, 9, 4},
	} {
		now = now.Add(step.after)
		got := 0
		for range step.tries {
			if th.take("a", r, now) {
				got++
			}
		}
		if got != step.want {
			t.Errorf("%v later %d of %d pass, want %d", step.after, got, step.tries, step.want)
		}
	}
	if !th.take("b", r, now) {
		t.Error("another peer pays for it")
	}
}
