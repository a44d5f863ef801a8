package journal

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, err := Open("journal", Options{fs: vfs.NewMem(), SyncEvery: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- j.Run(ctx) }()
		add(t, j, 1, 10)
		if j.synced.Load() != 0 {
			t.Error("durable at once")
		}
		time.Sleep(1100 * time.Millisecond)
		if have := j.synced.Load(); have != 10 {
			t.Errorf("%d are durable after a second", have)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, err := j.Sync(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestReaders reads in every way while one writer appends. What a reader sees
// is a history at one moment.
func TestReaders(t *testing.T) {
	const most = 8000
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	j := open(t, t.TempDir())
	entries := someEntries(seed, 0, most)
	var readers sync.WaitGroup
	for r := range 3 {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(r)))
			for size := uint64(0); size < most; size = j.Size() {
				read(t, j, entries, size, rng)
			}
		})
	}
	readers.Go(func() {
		for j.Size() < most {
			if _, err := j.Verify(t.Context(), VerifyOptions{}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	rng := rand.New(rand.NewPCG(seed, 99))
	for n := uint64(0); n < most; n = j.Size() {
		if _, err := j.Append(entries[n:min(most, n+1+rng.Uint64N(30))]...); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(50) == 0 {
			if err := j.Keep(signed(t, j, j.Size()), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	readers.Wait()
}

// read checks what was there before it began: size entries.
func read(t *testing.T, j *Journal, entries []Entry, size uint64, rng *rand.Rand) {
	t.Helper()
	q := someQuery(rng, size)
	q.Backwards = false
	have, err := answer(j, q)
	want := expected(q, entries[:size])
	if err != nil || len(have) < len(want) {
		t.Errorf("%+v at %d: %d of %d, %v", q, size, len(have), len(want), err)
	}
	if size == 0 {
		return
	}
	n := rng.Uint64N(size)
	root, err := j.Root(size)
	if err != nil {
		t.Error(err)
	}
	proof, err := j.ProveInclusion(n, size)
	if err != nil {
		t.Error(err)
	}
	leaf, err := entries[n].Leaf()
	if err != nil {
		t.Error(err)
	}
	if err := VerifyInclusion(proof, size, root, n, leaf); err != nil {
		t.Error(err)
	}
	if _, err := j.ProveConsistency(size, j.Size()); err != nil {
		t.Error(err)
	}
}
