package replica

import (
	"testing"
	"time"
)

// TestMarks: what replicas compare is the hash of now, and those of some
// entries before, as many as are bounded; none that a snapshot makes stale.
func TestMarks(t *testing.T) {
	r := New(Config{})
	for index := range uint64(markEvery * (markCount + 10)) {
		r.Apply(index+1, time.Unix(int64(index), 0), nil)
	}
	list := r.Marks()
	if n := len(list); n < markCount/2 || n > markCount+1 {
		t.Errorf("%d marks are kept", n)
	}
	for n, m := range list[:len(list)-1] {
		if m.Index%markEvery != 0 || m.Hash == "" || n > 0 && m.Index <= list[n-1].Index {
			t.Fatalf("mark %d is %+v", n, m)
		}
	}
	if last := list[len(list)-1]; last.Index != r.View().Index() || last.Hash != r.View().Hash().String() {
		t.Errorf("the last is %+v", last)
	}
}
