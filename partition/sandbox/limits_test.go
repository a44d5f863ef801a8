package sandbox_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/partition/limits"
	"github.com/slapmesh/slapmesh/partition/sandbox"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// grants skips the test where the computer does not bound what it is about.
func (b *bench) grants(controller string) {
	b.Helper()
	lacks, why := limits.Open(limits.Limits{}).Lacks()
	for _, l := range lacks {
		if l == controller {
			b.Skipf("no limits on %s here: %s", controller, why)
		}
	}
}

// A service that takes more memory than its partition has is ended; its
// supervisor and its neighbours in the partition go on, and what happened is known.
func TestOutOfMemory(t *testing.T) {
	forEachGrade(t, func(b *bench) {
		b.grants("memory")
		web := freeAddress(b.T)
		r := b.launchWithin(limits.Limits{Memory: 64 << 20})
		b.apply(r, supervisor.Spec{Services: []supervisor.Service{service("web", web), {Name: "hog", Argv: []string{"probe", "hog"}}}})
		s := b.until(r, "the hog was ended", func(s supervisor.Status) bool {
			return len(s.Services) == 2 && strings.Contains(s.Services[1].Reason, "killed by signal 9")
		})
		group := b.host.Group(b.folder)
		if n := group.OutOfMemory(); n == 0 {
			b.Error("nobody says that memory was the reason")
		}
		if said := b.ask(r, web); said == "" {
			b.Error("its neighbour does not answer")
		}
		if s.Services[0].Reason != "" {
			b.Errorf("its neighbour: %s", s.Services[0].Reason)
		}
		b.launchWithin(limits.Limits{Memory: 1 << 30}) // a running partition may have more from now on
		if got := group.Memory(); got != 1<<30 {
			b.Errorf("after a change its limit is %d", got)
		}
	})
}

// A fork bomb gets no further than its partition's limit, with control groups
// or without, and nothing of it is left when the partition is destroyed.
func TestForkBomb(t *testing.T) {
	forEachGrade(t, func(b *bench) {
		if grade, _ := b.host.Grade(); grade == sandbox.GradePlain && os.Getuid() != 0 {
			b.Skip("plain processes of an ordinary user count as the user's: they have no limit of their own")
		}
		r := b.launchWithin(limits.Limits{Processes: 60})
		b.apply(r, supervisor.Spec{Services: []supervisor.Service{{Name: "bomb", Argv: []string{"probe", "bomb"}}}})
		b.until(r, "the bomb runs", func(s supervisor.Status) bool { return len(s.Services) == 1 && s.Services[0].PID > 0 })
		b.logs("refused: resource temporarily unavailable")
		if _, err := r.Status(b.Context()); err != nil {
			b.Errorf("its supervisor does not answer: %v", err)
		}
		if err := b.host.Destroy(b.Context(), b.folder); err != nil {
			b.Fatal(err)
		}
		if b.host.Group(b.folder).Exists() {
			b.Error("its control group is left")
		}
	})
}

// Every process inside is held to a number of open files, and dumps no core.
func TestResourceLimits(t *testing.T) {
	forEachGrade(t, func(b *bench) {
		r := b.launch()
		said, _ := b.exec(r, "read", "/proc/self/limits")
		for what, most := range map[string]int{"Max open files": 65536, "Max core file size": 0} {
			line := ""
			for l := range strings.Lines(said) {
				if strings.HasPrefix(l, what) {
					line = l
				}
			}
			fields := strings.Fields(strings.TrimPrefix(line, what))
			if n, err := strconv.Atoi(fields[1]); err != nil || n > most {
				b.Errorf("%q, want at most %d", strings.TrimSpace(line), most)
			}
		}
	})
}
