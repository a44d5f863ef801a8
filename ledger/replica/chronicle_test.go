package replica_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/book"
	"github.com/slapmesh/slapmesh/ledger/journal"
	"github.com/slapmesh/slapmesh/ledger/replica"
)

// A scribe is a replica that writes a journal, with the log that drives it.
type scribe struct {
	*replica.Replica
	*soloLog
	journal *journal.Journal
	entries [][]byte // the log
}

func newScribe(t *testing.T, dir string) *scribe {
	t.Helper()
	j, err := journal.Open(dir, journal.Options{ReserveBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	r := replica.New(replica.Config{Journal: j})
	s := &scribe{Replica: r, soloLog: &soloLog{machine: r, at: noon}, journal: j}
	r.Attach(s)
	return s
}

// Propose keeps the command for other replicas.
func (s *scribe) Propose(ctx context.Context, command []byte) (uint64, []byte, error) {
	s.entries = append(s.entries, command)
	s.at = s.at.Add(time.Second)
	return s.soloLog.Propose(ctx, command)
}

// replay has another replica apply what s was told from one entry on.
func (s *scribe) replay(to *scribe, from int) {
	for n, command := range s.entries[from:] {
		to.Apply(uint64(from+n+1), noon.Add(time.Duration(from+n+1)*time.Second), [][]byte{command})
	}
}

// live makes some history: an instance, a secret parameter, money.
func (s *scribe) live(t *testing.T) {
	t.Helper()
	propose(t, s.Replica, ledger.System(), ledger.Found{
		Rules: ledger.CurrentRules, Secret: bytes.Repeat([]byte{9}, 32),
		Name: "home", ID: "m1", Account: "ann", Peer: "p1", PeerName: "attic", PublicKey: []byte{1},
	})
	p1 := ledger.AsPeer("p1")
	propose(t, s.Replica, p1, ledger.Offer{Partitions: 100, Name: "attic", Scope: ledger.ScopeOpen})
	d := publish(t, s.Replica, "web")
	propose(t, s.Replica, p1, ledger.CreateToken{ID: "t1", Digest: bytes.Repeat([]byte{1}, 32), Role: ledger.RoleUser, Uses: 1, Account: "bob", Expires: s.at.Add(time.Hour)})
	propose(t, s.Replica, p1, ledger.SetPrice{Rates: book.Rates{Request: 2_000_000_000_000}})
	for n := range 20 {
		propose(t, s.Replica, ledger.AsToken("t1"), ledger.Request{
			Reference: ledger.Reference(fmt.Sprint("web", n)), Release: d,
			Parameters: map[string]json.RawMessage{"password": json.RawMessage(`"tell-nobody"`)},
		})
	}
	propose(t, s.Replica, p1, ledger.Pay{ID: "1", From: "ann", To: "bob", Sum: 5})
}

// TestJournalIsHistory says that the journal holds what moved and nothing that
// is secret, and that it adds up to the balances.
func TestJournalIsHistory(t *testing.T) {
	s := newScribe(t, t.TempDir())
	defer closing(t, s.journal)
	s.live(t)
	sums, kinds := make(map[string]journal.Amount), make(map[string]int)
	for e, err := range s.journal.Entries(journal.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		kinds[e.Kind]++
		for _, p := range e.Postings {
			sums[p.Account] += p.Amount
		}
		leaf, _ := e.Leaf()
		if bytes.Contains(leaf, []byte("tell-nobody")) {
			t.Errorf("entry %d tells a secret", e.N)
		}
	}
	if kinds["allocated"] != 20 || kinds["paid"] != 1 || sums["bob"] != -40_000_000+5 {
		t.Errorf("kinds %v, sums %v", kinds, sums)
	}
	for account, sum := range sums {
		if got := s.View().Wallet(ledger.AccountName(account)).Balance; int64(got) != int64(sum) {
			t.Errorf("%s: the journal adds up to %d, the balance is %d", account, sum, got)
		}
	}
	if got, want := s.journal.Size(), s.View().Counters().Facts; got != want {
		t.Errorf("%d entries of %d facts", got, want)
	}
}

// TestReplayWritesTheSame replays the log over the journal that it wrote, after
// a restart and on another replica: the same history has the same root.
func TestReplayWritesTheSame(t *testing.T) {
	dir := t.TempDir()
	first := newScribe(t, dir)
	first.live(t)
	root := first.journal.Frontier().Root()
	closing(t, first.journal)

	for _, dir := range []string{dir, t.TempDir()} {
		again := newScribe(t, dir)
		first.replay(again, 0)
		if got := again.journal.Frontier().Root(); got != root {
			t.Errorf("root %v, want %v", got, root)
		}
		closing(t, again.journal)
	}
}

// TestAnotherHistoryStops says that a replica does not go on where its journal
// holds something else than the log brings.
func TestAnotherHistoryStops(t *testing.T) {
	dir := t.TempDir()
	first := newScribe(t, dir)
	first.live(t)
	closing(t, first.journal)

	told := make(chan error, 1)
	other := newScribe(t, dir)
	defer closing(t, other.journal)
	r := replica.New(replica.Config{Journal: other.journal, Mismatched: func(err error) { told <- err }})
	r.Attach(&soloLog{machine: r, at: noon})
	go func() { // it stands still for good
		_, _ = r.Propose(context.Background(), ledger.System(), ledger.Found{
			Rules: ledger.CurrentRules, Secret: bytes.Repeat([]byte{9}, 32),
			Name: "cellar", ID: "m1", Account: "ann", Peer: "p1", PeerName: "attic", PublicKey: []byte{1},
		})
		t.Error("it went on")
	}()
	<-r.Failed()
	if err := <-told; !strings.Contains(err.Error(), "the journal holds another one") {
		t.Errorf("it stopped for %v", err)
	}
}

// TestSnapshotCarriesTheJournal begins a replica with a snapshot: it goes on at
// once, with the history that it is missing to be filled in later.
func TestSnapshotCarriesTheJournal(t *testing.T) {
	first, second := newScribe(t, t.TempDir()), newScribe(t, t.TempDir())
	defer closing(t, first.journal)
	defer closing(t, second.journal)
	first.live(t)
	captured, err := first.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	at := len(first.entries)
	propose(t, first.Replica, ledger.AsPeer("p1"), ledger.Pay{ID: "2", From: "ann", To: "bob", Sum: 6}) // while it is written
	var stream bytes.Buffer
	if _, err := captured.WriteTo(&stream); err != nil {
		t.Fatal(err)
	}
	if err := second.Restore(&stream); err != nil {
		t.Fatal(err)
	}
	first.replay(second, at)
	if got, want := second.journal.Frontier().Root(), first.journal.Frontier().Root(); got != want {
		t.Fatalf("root %v, want %v", got, want)
	}
	from, to := second.journal.Missing()
	if from != 0 || to == 0 {
		t.Fatalf("missing %d to %d", from, to)
	}
	for from < to {
		chunk, err := first.journal.Chunk(from, to)
		if err != nil {
			t.Fatal(err)
		}
		if from, err = second.journal.Fill(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := second.journal.Verify(t.Context(), journal.VerifyOptions{}); err != nil {
		t.Error(err)
	}
}

func closing(t *testing.T, j *journal.Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}
