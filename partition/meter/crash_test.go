package meter

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
)

// A world is a computer whose meter crashes, and the ledger that it reports
// to.
type world struct {
	t    *testing.T
	r    *rand.Rand
	key  ed25519.PublicKey
	disk *crashDisk
	cfg  Config

	day     time.Time
	mono    time.Duration
	boot    int
	running map[ledger.InstanceID]*sim
	billed  map[uint64]ledger.UsageReport
	deaf    bool // the ledger cannot be reached
	meter   *Meter
	late    bool // the disk has failed since the last checkpoint
}

// A sim is an instance whose every reading is remembered.
type sim struct {
	w       *world
	life    uint64
	own     uint64
	disk    uint64
	history []truth
}

// A truth is what the meter may know at one moment: what was used up to it.
type truth struct {
	boot string
	at   time.Duration
	life uint64
	own  uint64
	held uint64
	core uint64 // sum
	disk uint64 // sum, doubled byte-nanoseconds
}

func (s *sim) Read(context.Context) (Reading, error) {
	if s.w.r.IntN(20) == 0 {
		return Reading{}, errors.New("not now")
	}
	now := truth{boot: s.w.cfg.Boot, at: s.w.mono, life: s.life, own: s.own, held: s.disk}
	if n := len(s.history); n > 0 {
		last := s.history[n-1]
		now.core, now.disk = last.core+s.own, last.disk
		if last.life == s.life {
			now.core -= last.own
		}
		if last.boot == now.boot {
			now.disk += (last.held + s.disk) * uint64(now.at-last.at)
		}
	}
	s.history = append(s.history, now)
	return Reading{By: ByProcess, Tasks: []Task{{1, s.life, s.own, 0}}, Disk: s.disk}, nil
}

// rewind forgets what the meter no longer knows, and says whether it knows
// anything.
func (s *sim) rewind(known sample, ok bool) bool {
	for n, h := range slices.Backward(s.history) {
		if ok && h.boot == known.Boot && h.at == known.At && h.own == known.Reading.Tasks[0].Own {
			s.history = s.history[:n+1]
			return true
		}
	}
	s.history = nil
	return false
}

func (w *world) sample(id ledger.InstanceID) (sample, bool) {
	if t, ok := w.meter.tracked[id]; ok && t.last != nil {
		return *t.last, true
	}
	s, ok := w.meter.known[id]
	return s, ok
}

func (w *world) open() {
	for {
		m, err := open(w.cfg, w.disk)
		if err == nil {
			w.meter = m
			return
		}
		w.disk.full = 0
		if errors.Is(err, errCrashed) {
			w.disk.crash()
		} else if !errors.Is(err, errFull) {
			w.t.Fatal(err)
		}
	}
}

func (w *world) track(id ledger.InstanceID) {
	if _, ok := w.sample(id); !ok {
		w.running[id].history = nil
	}
	err := w.meter.Track(w.t.Context(), id, int(id), w.running[id])
	if err != nil && !errors.Is(err, errCrashed) && !errors.Is(err, errFull) {
		w.t.Fatal(err)
	}
}

// crash kills the meter, and perhaps the computer.
func (w *world) crash() {
	w.disk.crash()
	w.disk.full = 0
	before := w.cfg.Boot
	if w.r.IntN(3) == 0 {
		w.boot++
		w.cfg.Boot = fmt.Sprint("boot", w.boot)
		w.mono = time.Duration(w.r.Int64N(int64(time.Minute)))
		for _, s := range w.running {
			s.life, s.own = s.life+1, 0
		}
	}
	w.open()
	for id, s := range w.running {
		known, ok := w.sample(id)
		taken := s.history
		if !s.rewind(known, ok) || w.late || known.Boot != before {
			continue
		}
		if lost := taken[len(s.history):]; len(lost) > 0 && lost[len(lost)-1].at-lost[0].at > w.cfg.Checkpoint+20*time.Second {
			w.t.Errorf("%d samples of instance %v are lost, from %v to %v", len(lost), id, lost[0].at, lost[len(lost)-1].at)
		}
	}
	w.late = false
	w.check()
	for id := range w.running {
		w.track(id)
	}
}

// reports returns every report that was closed, and checks their numbers and
// times.
func (w *world) reports() []ledger.UsageReport {
	var all []ledger.UsageReport
	var to time.Time
	for n := uint64(1); n < w.meter.open.Number; n++ {
		r, ok := w.billed[n]
		if !ok && n == w.meter.open.Number-1 && w.meter.closed != nil {
			r = w.opened(*w.meter.closed)
		} else if !ok {
			var signed ledger.SignedUsage
			if err := unpack(reportHeader, w.disk.files[reportFile(n)], &signed); err != nil {
				w.t.Fatalf("report %d: %v", n, err)
			}
			r = w.opened(signed)
		}
		switch {
		case r.Number != n:
			w.t.Fatalf("report %d says that it is %d", n, r.Number)
		case r.From.Before(to) || !r.To.After(r.From) || r.To.Sub(r.From) > ledger.MaxUsagePeriod:
			w.t.Fatalf("report %d goes from %v to %v, the one before to %v", n, r.From, r.To, to)
		}
		to = r.To
		all = append(all, r)
	}
	if w.meter.open.From.Before(to) {
		w.t.Fatalf("the open period is from %v, the last report to %v", w.meter.open.From, to)
	}
	return all
}

func (w *world) opened(s ledger.SignedUsage) ledger.UsageReport {
	r, err := s.Open(w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// check makes sure that what was reported and what is open are together what
// was measured.
func (w *world) check() {
	reports := w.reports()
	for id, s := range w.running {
		core, disk := w.meter.open.Used[id].Core, w.meter.open.Used[id].Disk.Lo
		for _, r := range reports {
			for _, e := range r.Entries {
				if e.Instance == id {
					core += e.Usage.Core
					disk += e.Usage.Disk * byteSecond
				}
			}
		}
		var want truth
		if n := len(s.history); n > 0 {
			want = s.history[n-1]
		} else if core == 0 && disk == 0 {
			continue
		}
		if core != want.core || disk != want.disk {
			w.t.Fatalf("instance %v: %d ns and %d of disk, measured were %d and %d", id, core, disk, want.core, want.disk)
		}
	}
}

func (w *world) SendUsage(_ context.Context, s ledger.SignedUsage) error {
	if w.deaf {
		return ledger.ErrUnavailable
	}
	r := w.opened(s)
	if _, ok := w.billed[r.Number]; !ok {
		if r.Number != uint64(len(w.billed)+1) {
			w.t.Fatalf("report %d after %d", r.Number, len(w.billed))
		}
		w.billed[r.Number] = r
	}
	if w.r.IntN(4) == 0 {
		return errors.New("the answer got lost")
	}
	return nil
}

func (w *world) step(next *ledger.InstanceID) {
	pass := time.Duration(w.r.Int64N(int64(20 * time.Second)))
	if w.r.IntN(50) == 0 {
		pass = time.Duration(w.r.Int64N(int64(40 * time.Hour)))
	}
	w.mono += pass
	w.day = w.day.Add(pass)
	for _, s := range w.running {
		s.own += w.r.Uint64N(1e10)
		s.disk = w.r.Uint64N(1000)
	}
	switch w.r.IntN(30) {
	case 0:
		w.running[*next] = &sim{w: w, life: 1, own: w.r.Uint64N(1e9)}
		w.track(*next)
		*next++
	case 1:
		for _, s := range w.running { // one of them starts again
			s.life, s.own = s.life+1, w.r.Uint64N(1e9)
			break
		}
	case 2:
		w.day = w.day.Add(time.Duration(w.r.Int64N(int64(4*time.Hour)) - int64(2*time.Hour)))
	case 3:
		w.deaf = !w.deaf
	case 4:
		w.disk.full = []float64{0, 0, 0, 0.3, 1}[w.r.IntN(5)]
	case 5:
		w.disk.left = w.r.IntN(12)
	case 6:
		w.crash()
	case 7:
		w.meter.finish(w.t.Context())
		w.crash()
	default:
		w.meter.look(w.t.Context())
	}
	w.late = w.late || w.disk.full > 0 || w.disk.left >= 0
	if n, ok := w.meter.first(); ok && w.r.IntN(2) == 0 {
		_ = w.meter.deliver(w.t.Context(), w, n)
	}
	if w.disk.left == 0 {
		w.crash()
	}
}

// A meter that crashes at any moment, on a disk that fails and a clock that
// jumps, bills what it measured: all of it, once, in numbered reports that do
// not overlap.
func TestCrashes(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	seeded(t, 20, func(r *rand.Rand) {
		w := &world{
			t: t, r: r, key: public, disk: newCrashDisk(r), day: noon, mono: time.Hour,
			running: make(map[ledger.InstanceID]*sim), billed: make(map[uint64]ledger.UsageReport),
		}
		cfg := Config{
			Dir: "/", Mesh: "m", Computer: "c", Boot: "boot0", Log: slog.New(slog.DiscardHandler), Cores: 1 << 20,
			Clock: func() time.Time { return w.day }, Monotonic: func() time.Duration { return w.mono },
			Sign:       func(m []byte) []byte { return ed25519.Sign(private, m) },
			MaxReports: 1 + r.IntN(30),
		}
		if w.cfg, err = cfg.withDefaults(); err != nil {
			t.Fatal(err)
		}
		w.open()
		next := ledger.InstanceID(1)
		for range 400 {
			w.step(&next)
			w.check()
			if t.Failed() {
				return
			}
		}
		w.disk.left, w.disk.full, w.deaf = -1, 0, false
		w.mono += time.Minute
		w.end()
	})
}

// end delivers all there is.
func (w *world) end() {
	for _, id := range slices.Sorted(maps.Keys(w.running)) {
		if err := w.meter.Untrack(w.t.Context(), id); err != nil {
			w.t.Fatal(err)
		}
	}
	w.check()
	for range 100000 {
		w.mono += 25 * time.Hour
		w.day = w.day.Add(25 * time.Hour)
		w.meter.look(w.t.Context())
		n, ok := w.meter.first()
		if !ok {
			break
		}
		_ = w.meter.deliver(w.t.Context(), w, n)
	}
	if got := uint64(len(w.billed)); got != w.meter.open.Number-1 {
		w.t.Errorf("%d reports billed of %d", got, w.meter.open.Number-1)
	}
	for id, s := range w.running {
		var core uint64
		for _, r := range w.billed {
			for _, e := range r.Entries {
				if e.Instance == id {
					core += e.Usage.Core
				}
			}
		}
		if n := len(s.history); n > 0 && core != s.history[n-1].core {
			w.t.Errorf("instance %v: %d ns billed, %d measured", id, core, s.history[n-1].core)
		}
	}
}
