package journal

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// rewrite changes a row behind the journal's back.
func rewrite(t *testing.T, j *Journal, key []byte, change func(value []byte) []byte) {
	t.Helper()
	value, err := j.get(nil, key)
	if err != nil && !errors.Is(err, pebble.ErrNotFound) {
		t.Fatal(err)
	}
	if value = change(value); value == nil {
		err = j.db.Delete(key, pebble.NoSync)
	} else {
		err = j.db.Set(key, value, pebble.NoSync)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func entryKey(n uint64) []byte { return appendEntryKey(nil, n) }

// TestVerify changes one thing at a time in a journal of 600 entries with
// checkpoints at 300 and 500, and expects the entry to be named.
func TestVerify(t *testing.T) {
	flip := func(i int) func([]byte) []byte {
		return func(value []byte) []byte { value[(i+len(value))%len(value)] ^= 4; return value }
	}
	drop := func([]byte) []byte { return nil }
	add := func([]byte) []byte { return []byte{} }
	row := func(prefix []byte, n uint64) []byte {
		return append(prefix, numberKey(0, n)[1:]...)
	}
	e299 := someEntry(1, 299)
	for _, test := range []struct {
		name   string
		key    []byte
		change func([]byte) []byte
		fault  string
	}{
		{"nothing", entryKey(7), flip(1 << 20), ""},
		{"a byte of a leaf", entryKey(299), flip(-1), "verify: entry 299: is not"},
		{"a byte in the middle of a leaf", entryKey(299), flip(120), "verify: entry 299: is not"},
		{"a byte of the hash of a leaf", entryKey(299), flip(0), "verify: entry 299: is not what was hashed into the tree (level 0)"},
		{"a byte of a node", entryKey(299), flip(40), "verify: entry 299: is not what was hashed into the tree (level 1)"},
		{"a byte of a high node", appendHashKey(nil, 9, 0), flip(5), "verify: entry 511: is not what was hashed into the tree (level 9)"},
		{"a node", appendHashKey(nil, 8, 1), drop, "verify: entry 511: a hash of the tree cannot be read"},
		{"an entry", entryKey(299), drop, "verify: entry 299: is missing"},
		{"half an entry", entryKey(299), func(v []byte) []byte { return v[:50] }, "verify: entry 299: is cut short"},
		{"an entry by another", entryKey(298), func([]byte) []byte { v, _ := e299.Leaf(); return append(make([]byte, 32), v...) }, "verify: entry 298: is not an entry of that number"},
		{"a row of an index", row(appendInstancePrefix(nil, e299.Instance), 299), drop, "verify: entry 299: is not in index 'i'"},
		{"a stray row of an index", row(appendNamePrefix(nil, rowAccount, "thief"), 299), add, "verify: entry 299: is in index 'a' where it does not belong"},
		{"a stray row of a node", appendHashKey(nil, 3, 1), add, "no node of a tree"},
		{"a stray row", []byte("stray"), add, "not of a journal"},
		{"a stray meta row", []byte("mother"), add, "not of a journal"},
		{"the text of a checkpoint", numberKey(rowCheckpoint, 500), flip(-100), "checkpoint"},
		{"a checkpoint by another", numberKey(rowCheckpoint, 300), func(v []byte) []byte { return bytes.Replace(v, []byte("\n300\n"), []byte("\n301\n"), 1) }, "kept checkpoint"},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := checkpointed(t)
			if test.fault != "" {
				rewrite(t, j, test.key, test.change)
			}
			tr := trust(t)
			_, err := j.Verify(t.Context(), VerifyOptions{Trust: &tr})
			if (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
				t.Errorf("error %v, want %q", err, test.fault)
			}
		})
	}
}

// checkpointed returns a journal of 600 entries with checkpoints.
func checkpointed(t *testing.T) *Journal {
	t.Helper()
	j := open(t, t.TempDir())
	add(t, j, 1, 600)
	for _, size := range []uint64{300, 500} {
		if err := j.Keep(signed(t, j, size), nil); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

// TestVerifyForged replaces history with another that is whole in itself:
// only what was signed tells.
func TestVerifyForged(t *testing.T) {
	j, forged := checkpointed(t), open(t, t.TempDir())
	add(t, forged, 1, 299)
	add(t, forged, 2, 600)
	batch := j.db.NewBatch()
	for _, kind := range []byte{rowAccount, rowComputer, rowEntry, rowHash, rowInstance} {
		if err := batch.DeleteRange([]byte{kind}, []byte{kind + 1}, nil); err != nil {
			t.Fatal(err)
		}
		err := forged.eachRaw(kind, func(key, value []byte) error { return batch.Set(key, value, nil) })
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		t.Fatal(err)
	}
	j.head = forged.Frontier()
	_, err := j.Verify(t.Context(), VerifyOptions{})
	var contradiction *ContradictionError
	if !errors.As(err, &contradiction) || !bytes.Contains(contradiction.New, []byte("\n300\n")) {
		t.Errorf("error %v", err)
	}
}

func (j *Journal) eachRaw(kind byte, do func(key, value []byte) error) error {
	iter, err := j.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		return err
	}
	for iter.First(); iter.Valid() && err == nil; iter.Next() {
		err = do(iter.Key(), iter.Value())
	}
	return errors.Join(err, iter.Close())
}

func TestVerifyWant(t *testing.T) {
	j, other := open(t, t.TempDir()), open(t, t.TempDir())
	add(t, j, 1, 300)
	add(t, other, 1, 200)
	want := other.Frontier()
	var calls int
	options := VerifyOptions{Want: &want, Progress: func(done, total uint64) {
		calls++
		if done > total || total != 300 {
			t.Errorf("progress %d of %d", done, total)
		}
	}}
	v, err := j.Verify(t.Context(), options)
	if err != nil || calls == 0 || v.Root != must(j.Root(300)) {
		t.Errorf("%+v, %v, %d calls", v, err, calls)
	}
	add(t, other, 1, 400)
	want = other.Frontier()
	if _, err := j.Verify(t.Context(), options); err == nil || !strings.Contains(err.Error(), "the journal has 300 entries") {
		t.Errorf("cut off: %v", err)
	}
	want.Size, want.Peaks = 256, want.Peaks[:1]
	want.Peaks[0][0]++
	var diverged *DivergedError
	if _, err := j.Verify(t.Context(), options); !errors.As(err, &diverged) {
		t.Errorf("another: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.Verify(ctx, VerifyOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestFlippedBytes changes one byte of the files of a closed journal at a
// time. It must not be possible to open and verify it as what it was.
func TestFlippedBytes(t *testing.T) {
	dir := t.TempDir()
	j, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	add(t, j, 1, 2000)
	want := j.Frontier()
	verify(t, j) // writes everything to its place
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal("no tables", err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 40 {
		file := tables[rng.IntN(len(tables))]
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		at := rng.IntN(len(data))
		changed := bytes.Clone(data)
		changed[at] ^= 1 << rng.IntN(8)
		if err := os.WriteFile(file, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := openAndVerify(t, dir, want); err == nil {
			t.Errorf("byte %d of %d of %s was changed: nobody noticed", at, len(data), filepath.Base(file))
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := openAndVerify(t, dir, want); err != nil {
		t.Error("unchanged:", err)
	}
}

func openAndVerify(t *testing.T, dir string, want Frontier) error {
	t.Helper()
	j, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	_, err = j.Verify(t.Context(), VerifyOptions{Want: &want})
	return errors.Join(err, j.Close())
}

// TestFlippedLog changes the bytes that were only in the store's own log.
func TestFlippedLog(t *testing.T) {
	dir := t.TempDir()
	j, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	add(t, j, 1, 500)
	want := j.Frontier()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(logs) != 1 {
		t.Fatal(logs, err)
	}
	data, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	for at := 3; at < len(data); at += len(data) / 12 {
		other := t.TempDir()
		if err := os.CopyFS(other, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		changed := bytes.Clone(data)
		changed[at] ^= 1
		if err := os.WriteFile(filepath.Join(other, filepath.Base(logs[0])), changed, 0o600); err != nil {
			t.Fatal(err)
		}
		err := openAndVerify(t, other, want)
		if err == nil {
			t.Errorf("byte %d of %d was changed: nobody noticed", at, len(data))
		}
	}
}
