package ledger

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// The files of testdata/rules2 were written by the release before rules 3: a
// log of random commands with the hash of the state behind each, and the
// snapshot at its end.

// TestOldLog replays what an older release decided: its commands mean for ever
// what they meant, to the last bit of the state.
func TestOldLog(t *testing.T) {
	type step struct {
		_       struct{} `cbor:",toarray"`
		At      time.Time
		Command []byte
		Hash    string
	}
	steps := cbor.NewDecoder(open(t, "testdata/rules2/log.cbor.gz"))
	s := NewState()
	for n := 1; ; n++ {
		var v step
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
		if got := s.Hash().String(); got != v.Hash {
			t.Fatalf("command %d, %s by %s: hash %s, want %s (%v, %v)", n, c.Kind(), p, got, v.Hash, events, err)
		}
	}
}

// TestOldSnapshot opens what an older release wrote, and goes on with it.
func TestOldSnapshot(t *testing.T) {
	s, err := ReadSnapshot(open(t, "testdata/rules2/snapshot.gz"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{TB: t, State: s, at: s.counters.At}
	if err := w.check(); err != nil {
		t.Fatal(err)
	}
	told := newChronicle(w.State)
	events, err := w.ask(System(), RaiseRules{CurrentRules, testSecret})
	if err != nil {
		t.Fatal(err)
	}
	if err := told.read(w.State, len(events)); err != nil {
		t.Error(err)
	}
	for account, sum := range told.balances {
		if got := w.Wallet(account).Balance; got != sum || len(told.balances) < 3 {
			t.Errorf("history begins with %s of %s, its balance is %s", sum, account, got)
		}
	}
	if err := w.check(); err != nil {
		t.Fatal(err)
	}
	if again := roundTrip(t, w.State); again.Hash() != w.Hash() {
		t.Errorf("hash %s after a round trip, want %s", again.Hash(), w.Hash())
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
