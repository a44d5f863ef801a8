package daemon

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// rot changes one byte in a file in a folder, and returns what puts it back.
func rot(t *testing.T, folder, part string, at int) (undo func()) {
	t.Helper()
	path := ""
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if is, err := filepath.Match(part, d.Name()); !is {
			return err
		}
		path = name
		return nil
	})
	if err != nil || path == "" {
		t.Fatalf("no %s in %s: %v", part, folder, err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(whole)
	changed[at] ^= 0x55
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// opens opens a peer that is to end at once.
func (p *testPeer) opens() error {
	cfg := p.config
	cfg.Socket, cfg.Control, cfg.API = p.w.socket(), newPipeListener(), newPipeListener()
	d, err := Open(p.w.t.Context(), cfg, Settings{})
	if err != nil {
		_ = cfg.Socket.Close()
		return err
	}
	ctx, cancel := context.WithTimeout(p.w.t.Context(), time.Minute)
	defer cancel()
	return errors.Join(d.Run(ctx), d.Close())
}

// Bytes of a voter's files change while it is off. One that is alone says so and
// changes nothing; one of three is filled anew by the others, and has what they
// have.
func TestBytesOfAVoterChange(t *testing.T) {
	inBubble(t, func(w *world) {
		first := w.found(FoundOptions{Mesh: "home"}, 2)
		w.eventually(10*time.Second, "a quorum of one", func() bool { return first.status().Quorum && first.status().Account != "" })
		kinds := []struct {
			folder, part string
			at           int
		}{{"consensus", "*.wal", 600}, {"journal", "MANIFEST-*", 12}} // in an entry; in the first record
		first.stop()
		for _, kind := range kinds {
			undo := rot(t, filepath.Join(first.config.Dir, kind.folder), kind.part, kind.at)
			err := first.opens()
			damaged := (*DamagedError)(nil)
			if err == nil || errors.As(err, &damaged) || !strings.Contains(err.Error(), "nothing was changed") {
				w.t.Errorf("alone, with another %s: %v", kind.folder, err)
			}
			w.logf("alone: %v", err)
			undo()
		}
		first.run()
		w.eventually(10*time.Second, "a quorum of one again", func() bool { return first.status().Quorum && first.status().Account != "" })
		token := first.token(protocol.TokenInput{Role: protocol.RoleVoter, Uses: 2})
		w.join(first, token, 2)
		w.join(first, token, 2)
		three := func() bool {
			for _, p := range w.peers {
				if s := p.status(); !s.Quorum || len(s.Voters) != 3 {
					return false
				}
			}
			return true
		}
		for n, kind := range kinds {
			w.eventually(5*time.Minute, "three voters", three)
			time.Sleep(refillEvery) // and they remember who votes
			bad := w.peers[n]       // once the one that leads, perhaps
			seat := func() uint64 { d, _ := bad.running(); return d.books.Seat().number }
			was := seat()
			bad.stop()
			rot(t, filepath.Join(bad.config.Dir, kind.folder), kind.part, kind.at)
			damaged := (*DamagedError)(nil)
			if err := bad.opens(); !errors.As(err, &damaged) {
				w.t.Fatalf("with another %s it opened: %v", kind.folder, err)
			}
			w.logf("%s: %v", bad.name, damaged)
			bad.run()
			if _, err := os.Stat(filepath.Join(bad.config.Dir, asideDir, kind.folder)); err != nil {
				w.t.Errorf("what it held: %v", err)
			}
			w.eventually(5*time.Minute, "equal states and all of history", func() bool {
				if !three() {
					return false
				}
				l, _ := w.leader(w.peers).running()
				d, _ := bad.running()
				from, to := d.journal.Missing()
				s := d.books.Seat()
				return s != nil && s.number > was && d.holdsHistory() && from == to && s.View().Hash() == l.books.Seat().View().Hash() &&
					d.journal.Frontier().Root() == l.journal.Frontier().Root()
			})
		}
	})
}
