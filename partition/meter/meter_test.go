package meter

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/slapmesh/slapmesh/ledger"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("TEST_METER_DIR"); dir != "" {
		os.Exit(beKilled(dir))
	}
	goleak.VerifyTestMain(m)
}

// testKey signs for every computer in these tests.
var testKey = ed25519.NewKeyFromSeed([]byte("a seed of thirty-two bytes, no m"))

func testConfig(dir string) Config {
	return Config{
		Dir: dir, Mesh: "m", Computer: "c", Cores: 4,
		Sign: func(m []byte) []byte { return ed25519.Sign(testKey, m) },
		Log:  slog.New(slog.DiscardHandler), Clock: time.Now,
	}
}

// bubble is testConfig with the time of a synctest bubble.
func bubble(dir string) Config {
	c, began := testConfig(dir), time.Now()
	c.Boot, c.Monotonic = "bubble", func() time.Duration { return time.Since(began) + time.Hour }
	return c
}

// A steady source uses one core and always the same memory and disk.
type steady struct {
	began time.Time
	disk  uint64
}

func (s *steady) Read(context.Context) (Reading, error) {
	return Reading{
		By: ByProcess, Tasks: []Task{{1, 1, uint64(time.Since(s.began)), 0}}, Memory: 1000, Disk: s.disk,
		Metrics: map[string]uint64{"rows": uint64(time.Since(s.began) / time.Second), strings.Repeat("x", 1000): 1},
	}, nil
}

// A walker learns of its disk by walking.
type walker struct {
	steady
	found atomic.Uint64
}

func (w *walker) Walk(context.Context) error { w.found.Store(5000); return nil }

func (w *walker) Read(ctx context.Context) (Reading, error) {
	r, err := w.steady.Read(ctx)
	r.Disk = w.found.Load()
	return r, err
}

// An inbox is a ledger that answers as it is told.
type inbox struct {
	mu     sync.Mutex
	answer func(ledger.UsageReport) error
	tries  []time.Time
	got    []ledger.UsageReport
}

func (b *inbox) SendUsage(_ context.Context, s ledger.SignedUsage) error {
	r, err := s.Open(testKey.Public().(ed25519.PublicKey))
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tries = append(b.tries, time.Now())
	if b.answer != nil {
		if err := b.answer(r); err != nil {
			return err
		}
	}
	b.got = append(b.got, r)
	return nil
}

func (b *inbox) numbers() []uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []uint64
	for _, r := range b.got {
		all = append(all, r.Number)
	}
	return all
}

func newMeter(t *testing.T, c Config) *Meter {
	t.Helper()
	m, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// running runs a meter, and returns how to end it.
func running(t *testing.T, m *Meter, to Sender) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx, to) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

func track(t *testing.T, m *Meter, id ledger.InstanceID, s Source) {
	t.Helper()
	if err := m.Track(t.Context(), id, int(id), s); err != nil {
		t.Fatal(err)
	}
}

func TestAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, box := newMeter(t, bubble(t.TempDir())), &inbox{}
		stop := running(t, m, box)
		time.Sleep(30 * time.Minute) // nothing to measure, nothing to report
		began := time.Now()
		track(t, m, 1, &steady{began: began, disk: 7})
		track(t, m, 2, &walker{steady: steady{began: began}})
		time.Sleep(25 * time.Minute)
		if err := m.Untrack(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		stop()

		var sum [3]ledger.Usage
		for n, r := range box.got {
			if r.Number != uint64(n+1) || r.Mesh != "m" || r.Computer != "c" || n > 0 && !r.From.Equal(box.got[n-1].To) {
				t.Errorf("report %d: %+v", n, r)
			}
			for _, e := range r.Entries {
				sum[e.Instance].Core += e.Usage.Core
				sum[e.Instance].Memory += e.Usage.Memory
				sum[e.Instance].Disk += e.Usage.Disk
				sum[e.Instance].Metrics = map[string]uint64{"rows": sum[e.Instance].Metrics["rows"] + e.Usage.Metrics["rows"]}
			}
		}
		if len(box.got) != 3 {
			t.Fatalf("%d reports, want one each ten minutes and one for the end", len(box.got))
		}
		if d := box.got[0].From.Sub(began); d < -5*time.Second || d > 0 {
			t.Errorf("the first report begins %v after there was something to measure", d)
		}
		if want := uint64(25 * time.Minute); sum[1].Core != want || sum[1].Memory != 1500*1000 || sum[1].Disk != 1500*7 || sum[1].Metrics["rows"] != 1500 {
			t.Errorf("used %+v", sum[1])
		}
		if sum[2].Disk < 1490*5000 || sum[2].Disk > 1500*5000 {
			t.Errorf("a folder that was walked through used %d byte-seconds", sum[2].Disk)
		}
	})
}

func TestDelivery(t *testing.T) {
	cut := errors.New("no route")
	tests := []struct {
		name    string
		answer  func(at time.Duration, r ledger.UsageReport) error
		after   time.Duration
		want    []uint64
		refused int
	}{
		{
			name:   "what is cut off comes in order",
			answer: func(at time.Duration, _ ledger.UsageReport) error { return when(at < 35*time.Minute, cut) },
			after:  55 * time.Minute, want: []uint64{1, 2, 3, 4, 5},
		}, {
			name:   "a refused report holds up no other",
			answer: func(_ time.Duration, r ledger.UsageReport) error { return when(r.Number == 2, ledger.ErrForbidden) },
			after:  35 * time.Minute, want: []uint64{1, 3}, refused: 1,
		}, {
			name: "what is only said to be impossible now is sent again",
			answer: func(at time.Duration, _ ledger.UsageReport) error {
				return when(at < 15*time.Minute, &ledger.Refusal{Code: ledger.ErrUnavailable})
			},
			after: 25 * time.Minute, want: []uint64{1, 2},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				box := &inbox{answer: func(r ledger.UsageReport) error { return test.answer(time.Since(began), r) }}
				m := newMeter(t, bubble(dir))
				track(t, m, 1, &steady{began: began})
				stop := running(t, m, box)
				time.Sleep(test.after)
				synctest.Wait()
				if got := box.numbers(); !slices.Equal(got, test.want) {
					t.Errorf("reports %v, want %v", got, test.want)
				}
				if s := m.Status(); s.Waiting != 0 || s.Refused != test.refused {
					t.Errorf("status %+v, want %d refused and none waiting", s, test.refused)
				}
				if n := len(box.tries); n > 60 {
					t.Errorf("%d attempts", n)
				}
				stop()
				files, err := filepath.Glob(filepath.Join(dir, refusedDir, "*.report"))
				if err != nil || len(files) != test.refused {
					t.Errorf("set aside: %v, %v", files, err)
				}
			})
		})
	}
}

func when(is bool, err error) error {
	if is {
		return err
	}
	return nil
}

// While the spool is full, periods get as long as the ledger allows, and what
// they say stays the same.
func TestFullSpool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bubble(t.TempDir())
		c.MaxReports = 3
		c.Sample, c.Checkpoint = time.Minute, time.Hour
		m, began, deaf := newMeter(t, c), time.Now(), true
		box := &inbox{answer: func(ledger.UsageReport) error { return when(deaf, errors.New("no route")) }}
		track(t, m, 1, &steady{began: began})
		stop := running(t, m, box)
		time.Sleep(50 * time.Hour)
		synctest.Wait()
		if s := m.Status(); s.Waiting != 5 || !s.Full {
			t.Errorf("%d reports wait, want 3 of ten minutes and 2 of a day", s.Waiting)
		}
		box.mu.Lock()
		deaf = false
		box.mu.Unlock()
		time.Sleep(10 * time.Minute)
		stop()
		var core uint64
		var to time.Time
		for _, r := range box.got {
			if r.From.Before(to) || r.To.Sub(r.From) > ledger.MaxUsagePeriod {
				t.Errorf("report %d goes from %v to %v", r.Number, r.From, r.To)
			}
			to = r.To
			core += r.Entries[0].Usage.Core
		}
		if want := uint64(to.Sub(began)); core != want {
			t.Errorf("%d ns in %d reports, want %d", core, len(box.got), want)
		}
	})
}

func TestPause(t *testing.T) {
	for failures := 1; failures < 100; failures++ {
		most := min(longestWait, time.Second<<min(failures-1, 20))
		if d := pause(failures); d < most/2 || d >= most {
			t.Errorf("%v after %d failures, want %v to %v", d, failures, most/2, most)
		}
	}
}

func TestTrack(t *testing.T) {
	m := newMeter(t, testConfig(t.TempDir()))
	s := &steady{began: time.Now()}
	track(t, m, 1, s)
	track(t, m, 1, s)
	if err := m.Track(t.Context(), 2, 1, s); err == nil {
		t.Error("two instances in one partition")
	}
	for range 2 {
		if err := m.Untrack(t.Context(), 1); err != nil {
			t.Error(err)
		}
	}
	if err := m.Track(t.Context(), 2, 1, s); err != nil {
		t.Error(err)
	}
	want := []InstanceStatus{{Instance: 2, Partition: 1, By: ByProcess, Memory: 1000}}
	if got := m.Status().Instances; !slices.Equal(got, want) {
		t.Errorf("status %+v, want %+v", got, want)
	}
}

// What is observed before the end counts, though the next look finds nothing.
func TestObserve(t *testing.T) {
	m := newMeter(t, testConfig(t.TempDir()))
	s := &standing{Reading{By: ByProcess, Tasks: []Task{{1, 1, 10, 0}}}}
	track(t, m, 1, s)
	m.Observe(t.Context(), 2)
	s.Reading = Reading{By: ByProcess, Tasks: []Task{{1, 1, 15, 20}}}
	m.Observe(t.Context(), 1)
	s.Reading = Reading{}
	m.look(t.Context())
	if got := m.open.Used[1].Core; got != 25 {
		t.Errorf("%d ns used, want 25", got)
	}
}

func TestNew(t *testing.T) {
	damage := func(name string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, name), []byte("slapmesh"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name   string
		given  func(t *testing.T, dir string)
		config func(*Config)
		want   uint64 // number of the open period
		err    string
	}{
		{name: "goes on", want: 3},
		{name: "a damaged checkpoint does not repeat a number that it can see", given: damage(checkpointFile), want: 3},
		{name: "nor one that the ledger has billed", given: damage(checkpointFile), config: func(c *Config) { c.Billed = 7 }, want: 8},
		{name: "a damaged report", given: damage(reportFile(1)), want: 3},
		{name: "unfinished files", given: damage(fresh + "open"), want: 3},
		{name: "files of others", given: damage("000000000000000000009.report"), want: 3},
		{name: "another computer's folder", config: func(c *Config) { c.Computer = "d" }, err: "the folder is that of computer"},
		{name: "no key", config: func(c *Config) { c.Sign = nil }, err: "required"},
		{name: "a clock without a name", config: func(c *Config) { c.Boot = "" }, err: "belong together"},
		{name: "too long periods", config: func(c *Config) { c.Every = 25 * time.Hour }, err: "at most"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				c := bubble(dir)
				m := newMeter(t, c)
				track(t, m, 1, &steady{began: time.Now()})
				ctx, cancel := context.WithTimeout(t.Context(), 21*time.Minute)
				defer cancel()
				m.sampling(ctx) // and no delivery
				if _, err := New(c); err == nil {
					t.Error("two meters have one folder")
				}
				if err := m.Close(); err != nil {
					t.Fatal(err)
				}
				if test.given != nil {
					test.given(t, dir)
				}
				if test.config != nil {
					test.config(&c)
				}
				m, err := New(c)
				if test.err != "" {
					if err == nil || !strings.Contains(err.Error(), test.err) {
						t.Errorf("error %v, want one with %q", err, test.err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := m.Status().Open; got != test.want {
					t.Errorf("the open period is number %d, want %d", got, test.want)
				}
				box := &inbox{}
				running(t, m, box)()
				if left, _ := filepath.Glob(filepath.Join(dir, fresh+"*")); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		})
	}
}
