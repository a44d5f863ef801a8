package ledger

import (
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// Each folder testdata/rulesN was written by the last release that knew no
// newer rules than N: log.cbor.gz is a log of random commands with the hash of
// the state behind each, snapshot.gz the state at its end. They are never
// written again. See TestMakeFixture.

// A fixtureStep is one item of log.cbor.gz.
type fixtureStep struct {
	_       struct{} `cbor:",toarray"`
	At      time.Time
	Command []byte // as in the log
	Hash    string // of the state behind it; 16 digits suffice, the snapshot has all
}

// fixtures are the oldest rules of which there is a fixture, and those that
// follow up to the last but the current.
func fixtures() (rules []uint64) {
	for n := uint64(RulesOfMoney); n < CurrentRules; n++ {
		rules = append(rules, n)
	}
	return rules
}

func fixture(rules uint64, file string) string {
	return filepath.Join("testdata", fmt.Sprint("rules", rules), file)
}

var makeFixture = flag.Bool("fixture", false, "write testdata/rulesN for the current rules N")

// TestMakeFixture writes the fixture of the current rules. Whoever is about to
// add rules N+1 runs
//
//	make fixture
//
// before anything else changes, and commits testdata/rulesN together with the
// new CurrentRules: from then on TestOldLog replays it.
func TestMakeFixture(t *testing.T) {
	if !*makeFixture {
		t.Skip("it writes a fixture, which is to be done once for each version of the rules: make fixture")
	}
	if err := os.Mkdir(fixture(CurrentRules, ""), 0o750); err != nil {
		t.Fatal(err) // what is there was written by a release, and stays
	}
	best, most := uint64(0), 0
	for seed := range uint64(100) {
		if _, _, n := randomLog(t, seed); n > most {
			best, most = seed, n
		}
	}
	w, steps, _ := randomLog(t, best)
	t.Logf("seed %d: %d kinds of events", best, most)
	file := create(t, fixture(CurrentRules, "log.cbor.gz"))
	log := cbor.NewEncoder(file)
	for _, step := range steps {
		if err := log.Encode(step); err != nil {
			t.Fatal(err)
		}
	}
	snapshot := create(t, fixture(CurrentRules, "snapshot.gz"))
	if err := errors.Join(w.check(), file.Close(), w.WriteSnapshot(snapshot), snapshot.Close()); err != nil {
		t.Fatal(err)
	}
}

// randomLog has a new mesh decide random commands. It returns what it came to,
// and how many kinds of events there were at least ten of.
func randomLog(tb testing.TB, seed uint64) (w *world, steps []fixtureStep, kinds int) {
	tb.Helper()
	w, seen, r := newWorld(tb), make(map[string]int), rand.New(rand.NewPCG(seed, CurrentRules))
	for step := range 6000 {
		p, c := randomCommand(r, w, step)
		w.at = w.at.Add(time.Duration(r.IntN(10)-1) * time.Second)
		data, err := Encode(p, c)
		if err != nil {
			tb.Fatal(err)
		}
		events, _ := w.ask(p, c)
		steps = append(steps, fixtureStep{At: w.at, Command: data, Hash: w.Hash().String()[:16]})
		for _, e := range events {
			for _, kind := range append(kindsOf(e), e.kind()) {
				if seen[kind]++; seen[kind] == 10 {
					kinds++
				}
			}
		}
	}
	return w, steps, kinds + len(seen)
}

// TestOldLog replays what older releases decided: their commands mean for ever
// what they meant, to the last bit of the state.
func TestOldLog(t *testing.T) {
	for _, rules := range fixtures() {
		t.Run(fmt.Sprint("rules", rules), func(t *testing.T) {
			steps := cbor.NewDecoder(open(t, fixture(rules, "log.cbor.gz")))
			s := NewState()
			for n := 1; ; n++ {
				var v fixtureStep
				if err := steps.Decode(&v); errors.Is(err, io.EOF) {
					if n < 2900 {
						t.Errorf("the log ended after %d commands", n)
					}
					return
				} else if err != nil {
					t.Fatal(err)
				}
				p, c, err := Parse(v.Command)
				if err != nil {
					t.Fatal(err)
				}
				events, err := s.Decide(c, Context{s.Advance(s.Index()+1, v.At), p})
				s.Evolve(events...)
				if got := s.Hash().String(); v.Hash == "" || !strings.HasPrefix(got, v.Hash) {
					t.Fatalf("command %d, %s by %s: hash %s, want %s (%v, %v)", n, c.Kind(), p, got, v.Hash, events, err)
				}
			}
		})
	}
}

// TestOldSnapshot opens what older releases wrote, raises the rules, and goes
// on with it.
func TestOldSnapshot(t *testing.T) {
	for _, rules := range fixtures() {
		t.Run(fmt.Sprint("rules", rules), func(t *testing.T) {
			s, err := ReadSnapshot(open(t, fixture(rules, "snapshot.gz")))
			if err != nil {
				t.Fatal(err)
			}
			w := &world{TB: t, State: s, at: s.counters.At}
			if m, _ := s.Mesh(); m.Rules != rules {
				t.Fatalf("it follows rules %d", m.Rules)
			}
			if err := w.check(); err != nil {
				t.Fatal(err)
			}
			w.raise(rules)
			if again := roundTrip(t, w.State); again.Hash() != w.Hash() {
				t.Errorf("hash %s after a round trip, want %s", again.Hash(), w.Hash())
			}
			r := rand.New(rand.NewPCG(rules, 8))
			for step := range 500 {
				p, c := randomCommand(r, w, 1+step)
				w.at = w.at.Add(time.Duration(r.IntN(10)) * time.Second)
				_, _ = w.ask(p, c)
			}
			if err := w.check(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// raise has a mesh that follows old rules follow the current ones, and checks
// that history says where the balances come from.
func (w *world) raise(from uint64) {
	w.Helper()
	told := newChronicle(w.State)
	told.next = w.counters.Facts
	events, err := w.ask(System(), RaiseRules{CurrentRules, testSecret})
	if err != nil {
		w.Fatal(err)
	}
	if err := told.read(w.State, len(events)); err != nil {
		w.Error(err)
	}
	for account, sum := range told.balances {
		if got := w.Wallet(account).Balance; got != sum {
			w.Errorf("history begins with %s of %s, its balance is %s", sum, account, got)
		}
	}
	if began := len(told.balances) >= 3; began != (from < RulesOfProjects) {
		w.Errorf("history begins with the balances of %d accounts", len(told.balances))
	}
	if err := w.check(); err != nil {
		w.Fatal(err)
	}
}

func open(tb testing.TB, name string) io.Reader {
	tb.Helper()
	f, err := os.Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = f.Close() })
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	return z
}

func create(tb testing.TB, name string) io.WriteCloser {
	tb.Helper()
	f, err := os.Create(name)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = f.Close() })
	z, _ := gzip.NewWriterLevel(f, gzip.BestCompression)
	return z
}
