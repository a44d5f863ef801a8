package logstore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
	wal "github.com/hashicorp/raft-wal"

	"github.com/slapmesh/slapmesh/consensus/logstore"
)

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for round := range uint64(3) {
		s, err := logstore.Open(dir, logstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if last, err := s.LastIndex(); err != nil || last != round {
			t.Errorf("last index %d, %v; want %d", last, err, round)
		}
		if err := s.StoreLog(entry(round + 1)[0]); err != nil {
			t.Error(err)
		}
		if err := s.Set([]byte("k"), []byte("v")); err != nil {
			t.Error(err)
		}
		if v, err := s.Get([]byte("k")); err != nil || string(v) != "v" {
			t.Errorf("got %q, %v", v, err)
		}
		if round == 0 {
			if _, err := logstore.Open(dir, logstore.Options{}); !errors.Is(err, logstore.ErrInUse) {
				t.Errorf("open twice: %v", err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := logstore.Open(filepath.Join(t.TempDir(), "no"), logstore.Options{}); err == nil {
		t.Error("opened in a folder that is not there")
	}
}

// A model is a log as it should be: entry i has the payload want[i].
type model struct {
	first, last uint64
	want        map[uint64]string
}

func (m *model) check(t *testing.T, s *logstore.Store) {
	t.Helper()
	first, err1 := s.FirstIndex()
	last, err2 := s.LastIndex()
	if err := errors.Join(err1, err2); err != nil || first != m.first || last != m.last {
		t.Fatalf("entries %d to %d, %v; want %d to %d", first, last, err, m.first, m.last)
	}
	for i := m.first; i <= m.last && i > 0; i++ {
		var l raft.Log
		if err := s.GetLog(i, &l); err != nil || string(l.Data) != m.want[i] || l.Index != i {
			t.Fatalf("entry %d: %q, %v; want %q", i, l.Data, err, m.want[i])
		}
	}
	if err := s.GetLog(m.last+1, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) {
		t.Fatalf("entry %d, which is not there: %v", m.last+1, err)
	}
}

// TestFilesAreALog does what raft does to a log, at random, and opens it again
// and again: appends, cuts a conflicting end off, forgets the beginning, begins
// anew behind a snapshot. Payloads are large, so that segments come and go.
func TestFilesAreALog(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 2))
		dir, m := t.TempDir(), model{want: map[uint64]string{}}
		s, err := logstore.Open(dir, logstore.Options{})
		for step := range 120 {
			if err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, step, err)
			}
			switch n := r.IntN(10); {
			case n < 5 || m.last == 0:
				err = m.append(r, s)
			case n == 5: // a conflict
				from := m.first + r.Uint64N(m.last-m.first+1)
				err = s.DeleteRange(from, m.last)
				m.cut(from)
			case n == 6: // compaction
				to := m.first + r.Uint64N(m.last-m.first+1)
				err = s.DeleteRange(m.first, to)
				if m.first = to + 1; m.first > m.last {
					m.first, m.last = 0, 0
				}
			case n == 7 && r.IntN(4) == 0: // a snapshot from elsewhere
				err = s.DeleteRange(m.first, m.last)
				m.first, m.last = 0, 0
			default:
				if err = s.Close(); err == nil {
					s, err = logstore.Open(dir, logstore.Options{})
				}
			}
			if err == nil {
				m.check(t, s)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// append stores a few entries behind the last, or anywhere in an empty log.
func (m *model) append(r *rand.Rand, s *logstore.Store) error {
	next := m.last + 1
	if m.last == 0 {
		next = 1 + r.Uint64N(1000)
		m.first = next
	}
	var logs []*raft.Log
	for range 1 + r.IntN(5) {
		text := fmt.Sprintf("%d-%d-%0*d", next, r.Uint64(), r.IntN(1<<19), 0)
		m.want[next], m.last = text, next
		logs = append(logs, &raft.Log{Index: next, Term: 1, Data: []byte(text)})
		next++
	}
	return s.StoreLogs(logs)
}

func (m *model) cut(from uint64) {
	if m.last = from - 1; m.last < m.first {
		m.first, m.last = 0, 0
	}
}

// TestOlderEntriesMove opens a log whose entries are still beside the stable
// values, also when it was interrupted in moving them.
func TestOlderEntriesMove(t *testing.T) {
	for _, moved := range []uint64{0, 300} {
		dir := t.TempDir()
		old, err := boltdb.NewBoltStore(filepath.Join(dir, "log.db"))
		if err != nil {
			t.Fatal(err)
		}
		m := model{first: 5, last: 800, want: map[uint64]string{}}
		var logs []*raft.Log
		for i := m.first; i <= m.last; i++ {
			m.want[i] = fmt.Sprint("entry ", i)
			logs = append(logs, &raft.Log{Index: i, Term: 1, Data: []byte(m.want[i])})
		}
		err = errors.Join(old.StoreLogs(logs), old.SetUint64([]byte("CurrentTerm"), 7), old.Set([]byte("LastVoteCand"), []byte("b#2")), old.Close())
		if err != nil {
			t.Fatal(err)
		}
		if moved > 0 {
			storeSome(t, filepath.Join(dir, "log"), logs[:moved])
		}
		for range 2 {
			s, err := logstore.Open(dir, logstore.Options{})
			if err != nil {
				t.Fatal(err)
			}
			m.check(t, s)
			if term, err := s.GetUint64([]byte("CurrentTerm")); err != nil || term != 7 {
				t.Errorf("term %d, %v", term, err)
			}
			if vote, err := s.Get([]byte("LastVoteCand")); err != nil || string(vote) != "b#2" {
				t.Errorf("voted for %q, %v", vote, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestOlderVersionsRefuse: an older version, which would know of no vote, does
// not open what this one wrote.
func TestOlderVersionsRefuse(t *testing.T) {
	dir := t.TempDir()
	s, err := logstore.Open(dir, logstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := boltdb.NewBoltStore(filepath.Join(dir, "log.db")); err == nil {
		t.Error("an older version opens it")
	}
}

// storeSome leaves a log as it is when a move was interrupted.
func storeSome(t *testing.T, dir string, logs []*raft.Log) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	part, err := wal.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(part.StoreLogs(logs), part.Close()); err != nil {
		t.Fatal(err)
	}
}
