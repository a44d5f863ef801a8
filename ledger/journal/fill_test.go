package journal

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// wire sends a chunk as peers do.
func wire(t *testing.T, c Chunk) Chunk {
	t.Helper()
	data, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if c, err = ParseChunk(data); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestFill begins with a snapshot, goes on from there, and fetches what was
// before, while the process is killed now and then and snapshots come.
func TestFill(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	source := open(t, t.TempDir())
	add(t, source, seed, 3000+rng.Uint64N(3000))
	snapshot := source.Frontier()
	add(t, source, seed, snapshot.Size+1000)
	entries := someEntries(seed, 0, source.Size())

	dir := t.TempDir()
	j, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(entries[:rng.IntN(500)]...); err != nil {
		t.Fatal(err)
	}
	if err := j.Restore(snapshot); err != nil {
		t.Fatal(err)
	}
	for turn := 0; ; turn++ {
		from, to := j.Missing()
		if from == to && j.Size() == source.Size() {
			break
		}
		switch what := rng.IntN(10); {
		case what == 0: // the process ends
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if j, err = Open(dir, Options{}); err != nil {
				t.Fatal(err)
			}
			if again, _ := j.Missing(); again != from {
				t.Fatalf("missing from %d, was %d", again, from)
			}
		case what < 4: // the log goes on
			n := j.Size()
			if _, err := j.Append(entries[n:min(n+50, source.Size())]...); err != nil {
				t.Fatal(err)
			}
			if root, err := j.Root(j.Size()); err != nil || root != must(source.Root(j.Size())) {
				t.Fatalf("another root at %d: %v", j.Size(), err)
			}
		case what == 4 && turn > 3 && j.Size() < source.Size()-200: // another snapshot
			f := must(source.tree().frontier(j.Size() + 100))
			if err := j.Restore(f); err != nil {
				t.Fatal(err)
			}
		case from < to:
			c := wire(t, must(source.Chunk(from, to)))
			next, err := j.Fill(c)
			if err != nil || next != from+uint64(len(c.Leaves)) {
				t.Fatalf("filled to %d: %v", next, err)
			}
		}
		if turn%7 == 0 {
			v := verify(t, j)
			if from, to := j.Missing(); v.From != from || v.To != to || v.Size != j.Size() {
				t.Fatalf("verified %+v, missing %d to %d", v, from, to)
			}
		}
	}
	if v := verify(t, j); v.From != v.To || v.Root != must(source.Root(source.Size())) {
		t.Errorf("verified %+v", v)
	}
	for range 100 {
		q := someQuery(rng, j.Size())
		have, err := answer(j, q)
		if want := expected(q, entries); err != nil || !slices.Equal(have, want) {
			t.Fatalf("%+v: %v, %v, want %v", q, have, err, want)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFillRefused sends chunks that no honest peer would.
func TestFillRefused(t *testing.T) {
	source, forged := open(t, t.TempDir()), open(t, t.TempDir())
	add(t, source, 1, 2000)
	add(t, forged, 2, 2000)
	good := must(source.Chunk(100, 2000))
	change := func(do func(*Chunk)) Chunk {
		c := good
		c.Leaves, c.Proof = slices.Clone(good.Leaves), slices.Clone(good.Proof)
		do(&c)
		return c
	}
	for _, test := range []struct {
		name  string
		given uint64 // the seed of our own entries
		when  Chunk
		fault string
	}{
		{"honest", 1, good, ""},
		{"shorter", 1, change(func(c *Chunk) { c.Leaves = c.Leaves[:5] }), "the proof does not hold"},
		{"a changed byte", 1, change(func(c *Chunk) {
			c.Leaves[9] = bytes.Replace(c.Leaves[9], []byte("ed"), []byte("eD"), 1)
		}), "the proof does not hold"},
		{"garbage", 1, change(func(c *Chunk) { c.Leaves[9] = []byte("garbage") }), "entry 109: leaf"},
		{"swapped", 1, change(func(c *Chunk) { c.Leaves[1], c.Leaves[2] = c.Leaves[2], c.Leaves[1] }), "entry 101: numbered 102"},
		{"of another history", 1, must(forged.Chunk(100, 2000)), "the proof does not hold"},
		{"to what is not ours", 2, good, "the tree of 100 entries has root"},
		{"a lie about what is ours", 1, change(func(c *Chunk) { c.Before = Hash{1} }), "the proof does not hold"},
		{"of other entries", 1, must(source.Chunk(99, 2000)), "fill 99 to"},
		{"too many", 1, must(source.Chunk(1999, 2000)), "fill 1999 to"},
		{"none", 1, Chunk{From: 100}, "chunk of 0 entries"},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := open(t, t.TempDir())
			add(t, j, test.given, 100)
			if _, err := j.Fill(test.when); err == nil {
				t.Fatal("filled though nothing is missing")
			}
			if err := j.Restore(source.Frontier()); err != nil {
				t.Fatal(err)
			}
			next, err := j.Fill(test.when)
			if (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
				t.Fatalf("error %v, want %q", err, test.fault)
			}
			if err != nil && next != 100 {
				t.Errorf("next is %d", next)
			}
			var diverged *DivergedError
			if errors.As(err, &diverged) != (test.given == 2) {
				t.Errorf("error %T", err)
			}
			verify(t, j)
		})
	}
}

func TestRestore(t *testing.T) {
	source, forged := open(t, t.TempDir()), open(t, t.TempDir())
	add(t, source, 1, 300)
	add(t, forged, 2, 300)
	for _, test := range []struct {
		name  string
		given uint64
		when  Frontier
		fault string
	}{
		{"of the empty tree", 0, Frontier{}, ""},
		{"of what is here", 300, must(source.tree().frontier(200)), ""},
		{"of all that is here", 300, source.Frontier(), ""},
		{"of more", 100, source.Frontier(), ""},
		{"of another history", 300, must(forged.tree().frontier(200)), "restore: the tree of 200 entries has root"},
		{"no frontier", 0, Frontier{Size: 3, Peaks: make([]Hash, 1)}, "restore: frontier of size 3: 1 peaks, want 2"},
		{"absurd", 0, Frontier{Size: 1 << 63, Peaks: make([]Hash, 1)}, "too large"},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := open(t, t.TempDir())
			add(t, j, 1, test.given)
			err := j.Restore(test.when)
			if (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
				t.Fatalf("error %v, want %q", err, test.fault)
			}
			if want := max(test.given, test.when.Size); err == nil && j.Size() != want {
				t.Errorf("size %d, want %d", j.Size(), want)
			}
			verify(t, j)
		})
	}
	data := must(EncodeFrontier(source.Frontier()))
	f, err := ParseFrontier(data)
	if err != nil || f.Root() != source.Frontier().Root() || f.Size != 300 {
		t.Errorf("%+v, %v", f, err)
	}
}
