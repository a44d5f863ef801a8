package journal

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestChangedBytes changes bytes in each file of a store, and takes files away.
// What was written is there, or it is said that it is not: never is anything
// else read. Only the end of the store's own log may be missing without a word,
// as it is after a crash.
func TestChangedBytes(t *testing.T) {
	const entries = 3000
	whole := t.TempDir()
	for _, size := range []uint64{1000, 2000, entries} { // several files
		j, err := Open(whole, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for end := size - 900; end <= size; end += 100 {
			add(t, j, 1, end)
			if _, err := j.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if size < entries {
			if err := j.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	want := modelOf(t, someEntries(1, 0, entries))
	files, err := os.ReadDir(whole)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 8))
	found := make(map[string]int)
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		for n := range 7 {
			dir := filepath.Join(t.TempDir(), "journal")
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			what := f.Name() + " is gone"
			if n == 0 {
				if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
					t.Fatal(err)
				}
			} else if info.Size() > 0 {
				what = changeByte(t, filepath.Join(dir, f.Name()), r.Int64N(info.Size()), byte(1+r.IntN(255)))
			}
			size, err := readAgain(t, dir, want)
			switch kind, _, _ := strings.Cut(f.Name(), "-"); {
			case errors.Is(err, ErrDamaged):
				found[filepath.Ext(f.Name())+kind[:1]+" damaged"]++
			case err != nil:
				t.Errorf("%s: %v", what, err)
			case size == entries:
				found[filepath.Ext(f.Name())+kind[:1]+" whole"]++
			case strings.HasSuffix(f.Name(), ".log"):
				found["log short"]++
			default:
				t.Errorf("%s: %d entries of %d, and nobody said so", what, size, entries)
			}
		}
	}
	t.Log(found)
	if found[".sst0 damaged"] == 0 {
		t.Error("no damage of an entry was found")
	}
}

func changeByte(t *testing.T, path string, at int64, by byte) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[at] ^= by
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Base(path) + " changed"
}

// readAgain opens a journal and reads all of it, and returns how much there is.
func readAgain(t *testing.T, dir string, want *model) (size uint64, err error) {
	t.Helper()
	var mu sync.Mutex
	var told error
	j, err := Open(dir, Options{Damaged: func(err error) {
		mu.Lock()
		defer mu.Unlock()
		told = err
	}})
	if err != nil {
		return 0, err
	}
	defer func() { _ = j.Close() }()
	size = j.Size()
	_, err = j.Verify(t.Context(), VerifyOptions{})
	if err == nil && size > 0 && j.Frontier().Root() != want.root(t, size) {
		t.Errorf("%s: another history", dir)
	}
	mu.Lock()
	defer mu.Unlock()
	return size, errors.Join(err, told)
}
