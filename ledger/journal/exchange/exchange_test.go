package exchange_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/mod/sumdb/note"

	"github.com/slapmesh/slapmesh/ledger/journal"
	"github.com/slapmesh/slapmesh/ledger/journal/exchange"
)

// A world is a few peers that reach one another without a network.
type world struct {
	peers map[string]*peer
}

type peer struct {
	*exchange.Exchange
	name    string
	journal *journal.Journal
	log     *bytes.Buffer
	asks    []string // whom it compares with
	holds   bool
	serves  http.Handler
}

// RoundTrip implements [http.RoundTripper].
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	p, ok := w.peers[r.URL.Host]
	if !ok {
		return nil, fmt.Errorf("no peer %s", r.URL.Host)
	}
	answer := httptest.NewRecorder()
	p.serves.ServeHTTP(answer, r)
	return answer.Result(), nil
}

func keyOf(name string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte(name[:1]), ed25519.SeedSize))
}

func signer(t *testing.T, name string) note.Signer {
	t.Helper()
	key := keyOf(name)
	s, err := journal.NewSigner(name, key.Public().(ed25519.PublicKey), func(m []byte) []byte { return ed25519.Sign(key, m) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) trust() (journal.Trust, error) {
	var known []note.Verifier
	for name, p := range w.peers {
		if !p.holds {
			continue
		}
		v, err := journal.NewVerifier(name, keyOf(name).Public().(ed25519.PublicKey))
		if err != nil {
			return journal.Trust{}, err
		}
		known = append(known, v)
	}
	return journal.Trust{Origin: "slapmesh/m1", Verifiers: note.VerifierList(known...)}, nil
}

// add makes a peer; one that holds has the entries.
func (w *world) add(t *testing.T, name string, holds bool, entries ...journal.Entry) *peer {
	t.Helper()
	j, err := journal.Open(t.TempDir(), journal.Options{ReserveBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	if _, err := j.Append(entries...); err != nil {
		t.Fatal(err)
	}
	p := &peer{name: name, journal: j, holds: holds, log: new(bytes.Buffer)}
	p.Exchange = exchange.New(exchange.Config{
		Journal: j, HTTP: w, Signer: signer(t, name), Trust: w.trust,
		Keepers: func() (out []string) {
			for other, o := range w.peers {
				if o.holds && other != name {
					out = append(out, other)
				}
			}
			return out
		},
		Peers:      func() []string { return p.asks },
		Replicates: func(*http.Request) bool { return true },
		Holds:      func() bool { return p.holds },
		Log:        slog.New(slog.NewTextHandler(p.log, nil)),
	})
	p.serves = p.Handler()
	w.peers[name] = p
	return p
}

func (p *peer) compare(t *testing.T, with ...string) error {
	t.Helper()
	p.asks = with
	return p.Compare(t.Context())
}

func entries(from, to int, kind string) (out []journal.Entry) {
	for n := from; n < to; n++ {
		out = append(out, journal.Entry{N: uint64(n), Kind: kind, Account: "ann"})
	}
	return out
}

// TestCheckpointsSpread has a checkpoint reach a peer that never spoke with
// who signed it, which is then told of a growing history with proofs.
func TestCheckpointsSpread(t *testing.T) {
	w := &world{make(map[string]*peer)}
	a := w.add(t, "a", true, entries(0, 100, "fine")...)
	m, n := w.add(t, "m", false), w.add(t, "n", false)
	for _, size := range []int{100, 2500} {
		if _, err := a.journal.Append(entries(int(a.journal.Size()), size, "fine")...); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(a.compare(t), m.compare(t, "a"), n.compare(t, "m")); err != nil {
			t.Fatal(err)
		}
		kept, err := n.journal.Checkpoints()
		if err != nil || len(kept) == 0 || kept[len(kept)-1].Checkpoint.Size != uint64(size) {
			t.Errorf("n has %v, %v", kept, err)
		}
	}
}

// TestTwoHistoriesAreNoticed has two voters show different histories to
// different peers: as soon as these compare, both are told, with evidence.
func TestTwoHistoriesAreNoticed(t *testing.T) {
	w := &world{make(map[string]*peer)}
	a := w.add(t, "a", true, entries(0, 100, "fine")...)
	b := w.add(t, "b", true, entries(0, 100, "forged")...)
	m, n := w.add(t, "m", false), w.add(t, "n", false)
	if err := errors.Join(a.compare(t), b.compare(t), m.compare(t, "a"), n.compare(t, "b")); err != nil {
		t.Fatal(err)
	}
	for _, p := range []struct {
		*peer
		with string
	}{{m, "n"}, {n, "m"}, {a, "b"}} {
		err := p.compare(t, p.with)
		if _, ok := errors.AsType[*journal.ContradictionError](err); !ok {
			t.Errorf("%s compared with %s: %v", p.name, p.with, err)
		}
		if evidence, err := p.journal.Evidence(); err != nil || len(evidence) != 1 {
			t.Errorf("%s has %d pieces of evidence, %v", p.name, len(evidence), err)
		}
		if !strings.Contains(p.log.String(), "two histories") {
			t.Errorf("%s told nobody: %s", p.name, p.log)
		}
	}
}

// TestWhoIsBelieved says whose checkpoints are refused.
func TestWhoIsBelieved(t *testing.T) {
	w := &world{make(map[string]*peer)}
	a := w.add(t, "a", true, entries(0, 10, "fine")...)
	m := w.add(t, "m", false)
	if err := a.compare(t); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		given http.HandlerFunc
		fault string
	}{
		{"garbage", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("\x00\xff")) }, "malformed"},
		{"endless", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(make([]byte, 1<<20)) }, "more than"},
		{"an error", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusTeapot) }, "418"},
		{"a stranger's", func(rw http.ResponseWriter, _ *http.Request) {
			s, _ := journal.Sign(journal.Checkpoint{Origin: "slapmesh/m1", Size: 10}, signer(t, "x"))
			_, _ = rw.Write(s.Text())
		}, "no verifiable signatures"},
		{"one of another mesh", func(rw http.ResponseWriter, _ *http.Request) {
			s, _ := journal.Sign(journal.Checkpoint{Origin: "slapmesh/m2", Size: 10}, signer(t, "a"))
			_, _ = rw.Write(s.Text())
		}, "want one of"},
		{"none", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNoContent) }, ""},
	} {
		w.peers["l"] = &peer{serves: test.given}
		if err := m.compare(t, "l"); fmt.Sprint(err) != "<nil>" && test.fault == "" || !strings.Contains(fmt.Sprint(err), test.fault) {
			t.Errorf("%s: %v, want %q", test.name, err, test.fault)
		}
		delete(w.peers, "l")
	}
	if kept, err := m.journal.Checkpoints(); err != nil || len(kept) != 0 {
		t.Errorf("kept %v, %v", kept, err)
	}
}

// TestFill fetches what a new replica misses, although the first peer lies.
func TestFill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{make(map[string]*peer)}
		a := w.add(t, "a", true, entries(0, 5000, "fine")...)
		w.add(t, "l", true, entries(0, 6000, "forged")...)
		b := w.add(t, "b", true)
		if err := b.journal.Restore(a.journal.Frontier()); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- b.Run(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if from, to := b.journal.Missing(); from != to {
			t.Fatalf("missing %d to %d: %s", from, to, b.log)
		}
		if v, err := b.journal.Verify(t.Context(), journal.VerifyOptions{}); err != nil || v.Root != a.journal.Frontier().Root() {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

// TestAnotherHistoryEnds says that a peer whose own entries are of another
// history does not go on.
func TestAnotherHistoryEnds(t *testing.T) {
	w := &world{make(map[string]*peer)}
	a := w.add(t, "a", true, entries(0, 5000, "fine")...)
	b := w.add(t, "b", true, entries(0, 10, "other")...)
	if err := b.journal.Restore(a.journal.Frontier()); err != nil {
		t.Fatal(err)
	}
	err := b.Run(t.Context())
	if _, ok := errors.AsType[*journal.DivergedError](err); !ok {
		t.Errorf("it goes on: %v", err)
	}
}

// TestOutvoted has one of three holders write another history: it ends, the
// others go on.
func TestOutvoted(t *testing.T) {
	w := &world{make(map[string]*peer)}
	a := w.add(t, "a", true, entries(0, 100, "fine")...)
	b := w.add(t, "b", true, entries(0, 90, "fine")...)
	c := w.add(t, "c", true, entries(0, 100, "other")...)
	if err := errors.Join(a.compare(t), b.compare(t)); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*peer{c, a, b} {
		var err error
		for _, with := range []string{"a", "b", "c"} { // each round asks one
			if p.name != with && err == nil {
				p.asks = []string{with}
				err = p.Round(t.Context())
			}
		}
		_, outvoted := errors.AsType[*exchange.OutvotedError](err)
		if outvoted != (p == c) {
			t.Errorf("%s: %v", p.name, err)
		}
	}
}
