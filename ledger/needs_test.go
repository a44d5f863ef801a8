package ledger

import (
	"errors"
	"fmt"
	"testing"
)

// String is how scripts show needs: cores, and GiB of memory and disk.
func (n Needs) String() string {
	return fmt.Sprintf("%d.%03d/%d/%d", n.Cores/1000, n.Cores%1000, n.Memory>>30, n.Disk>>30)
}

// takeNeeds reads cores=N memory=GIB disk=GIB of a line, each behind a sign.
func (w *world) takeNeeds(sign string, values map[string]string) (n Needs) {
	w.Helper()
	for k, to := range map[string]struct {
		sum  *int64
		unit int
	}{"cores": {&n.Cores, 1000}, "memory": {&n.Memory, 1 << 30}, "disk": {&n.Disk, 1 << 30}} {
		if text, ok := values[sign+k]; ok {
			*to.sum = int64(to.unit) * int64(w.number(text))
			delete(values, sign+k)
		}
	}
	return n
}

// TestAbsurdNeeds: what no computer has is refused before a computer is
// looked for, and under older rules nothing is needed.
func TestAbsurdNeeds(t *testing.T) {
	w := given(t, home)
	ask := func(n Needs) error {
		_, err := w.ask(AsPeer("p1"), Request{Reference: "x", Release: DigestOf(profileOf("web", "1")), Needs: n})
		return err
	}
	for _, n := range []Needs{
		{Cores: -1},
		{Memory: -1},
		{Disk: -1 << 63},
		{Cores: MaxCores + 1},
		{Memory: MaxNeed + 1},
		{Disk: 1<<63 - 1},
	} {
		if err := ask(n); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", n, err)
		}
	}
	mesh, _ := w.Mesh()
	mesh.Rules = RulesOfMoney
	w.setMesh(mesh)
	if err := ask(Needs{Cores: 1}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("needs under older rules: %v", err)
	}
}

// takesMore says which computers are to reserve more of what because of
// events that are about to be recorded.
func (w *world) takesMore(events []Event) map[ComputerID]Needs {
	more := make(map[ComputerID]Needs)
	for _, e := range events {
		var now, was Instance
		switch e := e.(type) {
		case Allocated:
			now = e.Instance
		case Changed:
			now = e.Instance
			was, _ = w.Instance(now.ID)
		}
		if d := now.Needs.minus(was.Needs); d.Cores > 0 || d.Memory > 0 || d.Disk > 0 {
			more[now.Computer] = d
		}
	}
	return more
}

// lacks reports whether c has reserved more than it has of what more was
// taken of.
func (c Computer) lacks(more Needs) bool {
	over := func(has, reserved, more int64) bool { return has > 0 && more > 0 && reserved > has }
	has := c.Capacity()
	return over(has.Cores, c.Reserved.Cores, more.Cores) || over(has.Memory, c.Reserved.Memory, more.Memory) || over(has.Disk, c.Reserved.Disk, more.Disk)
}
