package logstore_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/slapmesh/slapmesh/consensus/logstore"
)

// TestStableChanged changes each byte of the file with the term and the vote,
// cuts it off everywhere, and takes it away.
func TestStableChanged(t *testing.T) {
	dir := t.TempDir()
	s, err := logstore.Open(dir, logstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(s.SetUint64([]byte("CurrentTerm"), 7), s.Set([]byte("LastVoteCand"), []byte("b#2")), s.Close())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "stable")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, at int) {
		t.Helper()
		if s, err := logstore.Open(dir, logstore.Options{}); !errors.Is(err, logstore.ErrDamaged) {
			if err == nil {
				err = s.Close()
			}
			t.Errorf("%s %d: %v", what, at, err)
		}
	}
	r := rand.New(rand.NewPCG(7, 7))
	for at := range whole {
		changed := append([]byte(nil), whole...)
		changed[at] ^= byte(1 + r.IntN(255))
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		refused("changed byte", at)
		if err := os.WriteFile(path, whole[:at], 0o600); err != nil {
			t.Fatal(err)
		}
		refused("cut off at", at)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refused("gone, with", len(whole))
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = logstore.Open(dir, logstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	term, err := s.GetUint64([]byte("CurrentTerm"))
	if vote, voteErr := s.Get([]byte("LastVoteCand")); term != 7 || string(vote) != "b#2" || errors.Join(err, voteErr) != nil {
		t.Errorf("term %d, vote %q, %v", term, vote, errors.Join(err, voteErr))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
