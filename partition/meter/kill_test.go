package meter

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// A tally is an instance that says how often it was read.
type tally struct{ n uint64 }

func (c *tally) Read(context.Context) (Reading, error) {
	c.n++
	return Reading{By: ByCgroup, Tasks: []Task{{0, 1, c.n, 0}}}, nil
}

// beKilled closes periods as fast as it can, until it is killed. Time is what
// it makes it.
func beKilled(dir string) int {
	start, _ := strconv.ParseInt(os.Getenv("TEST_METER_START"), 10, 64)
	mono := time.Duration(start) * time.Hour
	c := testConfig(dir)
	c.Boot, c.Monotonic = "b", func() time.Duration { return mono }
	c.Clock = func() time.Time { return noon.Add(mono) }
	c.MaxReports = 1 << 20
	m, err := New(c)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	source := &tally{}
	if s, ok := m.known[1]; ok {
		source.n = s.Reading.Tasks[0].Own
	}
	if err := m.Track(context.Background(), 1, 1, source); err != nil {
		fmt.Println(err)
		return 1
	}
	for {
		mono += 10 * time.Minute
		m.look(context.Background())
		fmt.Println(m.open.Number)
	}
}

// A meter whose process is killed again and again on a real disk repeats no
// number, leaves out none, and reports all that was measured.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for round := range 15 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), "TEST_METER_DIR="+dir, "TEST_METER_START="+strconv.Itoa(1000*(round+1)))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 1 + r.IntN(12) {
			lines.Scan()
		}
		for range r.IntN(200_000) { // somewhere in the next
			_ = seed
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	c := testConfig(dir)
	c.Boot, c.Monotonic = "b", func() time.Duration { return 20000 * time.Hour }
	m := newMeter(t, c)
	var core uint64
	var to time.Time
	for n := range m.open.Number - 1 {
		signed, err := readReport(m.disk, n+1)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		report, err := signed.Open(testKey.Public().(ed25519.PublicKey))
		if err != nil || report.Number != n+1 || report.From.Before(to) {
			t.Fatalf("seed %d: report %d: %+v, %v", seed, n+1, report, err)
		}
		to = report.To
		for _, e := range report.Entries {
			core += e.Usage.Core
		}
	}
	core += m.open.Used[ledger.InstanceID(1)].Core
	if want := m.known[1].Reading.Tasks[0].Own - 1; core != want || m.open.Number < 15 { // the first reading is where it begins
		t.Errorf("seed %d: %d reports say %d, want %d", seed, m.open.Number-1, core, want)
	}
}
