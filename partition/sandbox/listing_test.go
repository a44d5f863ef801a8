//go:build unix

package sandbox

import (
	"os/exec"
	"slices"
	"testing"
)

func TestParseListing(t *testing.T) {
	out := "    1     0 /sbin/init HOME=/\n  77 501 sleep 9 SLAPD_PARTITION=/Users/a b/p1 HOME=/\n\nnonsense\n12\n 78 501 sh SLAPD_PARTITION=/Users/a\n"
	got := parseListing([]byte(out))
	pids := make(map[string][]int)
	for _, mark := range []string{"SLAPD_PARTITION=/Users/a b/p1", "SLAPD_PARTITION=/Users/a", "SLAPD_PARTITION=/Users/a b/p2"} {
		for _, p := range got {
			if p.marked(mark) {
				pids[mark] = append(pids[mark], p.pid)
			}
		}
	}
	if len(got) != 3 || got[1].uid != 501 || !slices.Equal(pids["SLAPD_PARTITION=/Users/a b/p1"], []int{77}) ||
		!slices.Contains(pids["SLAPD_PARTITION=/Users/a"], 78) || pids["SLAPD_PARTITION=/Users/a b/p2"] != nil {
		t.Errorf("%+v; marked: %v", got, pids)
	}
}

// Systems without /proc are asked in this way; ps(1) of this one understands it
// too.
func TestListed(t *testing.T) {
	mark := markOf(t.TempDir())
	cmd := exec.CommandContext(t.Context(), "sleep", "1000")
	cmd.Env = []string{"PATH=/bin", mark}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	var found []int
	for range 1000 { // it is this program until it has become another
		found = nil
		for _, p := range listed() {
			if p.marked(mark) {
				found = append(found, p.pid)
			}
		}
		if len(found) > 0 {
			break
		}
	}
	if !slices.Equal(found, []int{cmd.Process.Pid}) {
		t.Errorf("found %v, want %d", found, cmd.Process.Pid)
	}
}
