package consensus_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slapmesh/slapmesh/consensus"
	"github.com/slapmesh/slapmesh/consensus/consensustest"
)

// TestChangedBytes changes bytes in each file of a seat, and takes files away.
// The machine has what it had, or the seat does not open and says that it is
// damaged.
func TestChangedBytes(t *testing.T) {
	whole, scratch := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		state := &consensustest.Register{}
		node := openSolo(t, whole, state)
		if err := errors.Join(node.Bootstrap(), leads(t, node)); err != nil {
			t.Fatal(err)
		}
		for n := range 150 {
			if _, _, err := node.Propose(t.Context(), fmt.Appendf(nil, "command %d", n)); err != nil {
				t.Fatal(err)
			}
			if n%50 == 40 {
				time.Sleep(3 * time.Minute) // for a snapshot
			}
		}
		if err := node.Close(); err != nil {
			t.Fatal(err)
		}
		want := state.Commands()

		var files []string
		err := filepath.WalkDir(whole, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && d.Name() != "lock" { // which is empty
				files = append(files, strings.TrimPrefix(path, whole))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(3, 9))
		found := make(map[string]int)
		for n, name := range slices.Repeat(files, 5) {
			dir := filepath.Join(scratch, fmt.Sprint(n))
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			what := name + spoil(t, filepath.Join(dir, name), n < len(files), r)
			got, err := reopened(t, dir)
			switch kind := filepath.Base(name); {
			case errors.Is(err, consensus.ErrDamaged):
				found[kind+" damaged"]++
			case err != nil:
				t.Errorf("%s: %v", what, err)
			case !slices.Equal(got, want):
				t.Errorf("%s: %d commands of %d, and nobody said so", what, len(got), len(want))
			default:
				found[kind+" whole"]++
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
		t.Log(found)
		if found["stable damaged"] == 0 || found["stable whole"] > 0 {
			t.Error("term and vote changed, and nobody said so")
		}
		if found["state.bin damaged"] == 0 || found["meta.json damaged"] == 0 {
			t.Error("no damage of a snapshot was found")
		}
	})
}

// spoil takes a file away, or changes one of the bytes that it holds.
func spoil(t *testing.T, path string, remove bool, r *rand.Rand) string {
	t.Helper()
	if remove {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return " is gone"
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := r.IntN(len(strings.TrimRight(string(data), "\x00"))) // some is allocated in advance
	data[at] ^= byte(1 + r.IntN(255))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(": byte %d of %d changed", at, len(data))
}

func openSolo(t *testing.T, dir string, state *consensustest.Register) *consensus.Node {
	t.Helper()
	node, err := consensus.Open(soloConfig(dir), consensustest.NewNetwork(0).Transport("a"), state)
	if err != nil {
		t.Fatal(err)
	}
	return node
}

func soloConfig(dir string) consensus.Config {
	return consensus.Config{Peer: "a", Seat: 1, Dir: dir, SnapshotEvery: 30, Trailing: 10}
}

// reopened opens a seat and returns what its machine has once it leads.
func reopened(t *testing.T, dir string) ([]string, error) {
	t.Helper()
	state := &consensustest.Register{}
	node, err := consensus.Open(soloConfig(dir), consensustest.NewNetwork(0).Transport("a"), state)
	if err != nil {
		return nil, err
	}
	err = leads(t, node)
	return state.Commands(), errors.Join(err, node.Close())
}

// leads waits until all that a node had is applied.
func leads(t *testing.T, node *consensus.Node) (err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for err = node.Barrier(ctx); err != nil && ctx.Err() == nil; err = node.Barrier(ctx) {
		time.Sleep(100 * time.Millisecond)
	}
	return err
}
