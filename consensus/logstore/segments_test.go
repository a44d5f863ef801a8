package logstore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// A log that is opened again goes on where it was, whatever lies behind.
func TestSegmentsReopened(t *testing.T) {
	dir, random := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	var sizes []int
	for range 12 {
		w := openSegments(t, dir, segments{fs.New()})
		for range 1 + random.IntN(40) {
			sizes = append(sizes, random.IntN(60_000))
			if err := w.StoreLog(entry(len(sizes), sizes[len(sizes)-1])); err != nil {
				t.Fatal(err)
			}
		}
		if last, err := w.LastIndex(); err != nil || last != uint64(len(sizes)) {
			t.Fatalf("the last index is %d, %v; want %d", last, err, len(sizes))
		}
		for n, size := range sizes {
			var got raft.Log
			if err := w.GetLog(uint64(n+1), &got); err != nil || !bytes.Equal(got.Data, entry(n+1, size).Data) {
				t.Fatalf("entry %d of %d bytes is another: %d bytes, %v", n+1, size, len(got.Data), err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What was written is synced with what the file system has to note of it, if it
// has anything; a sync that failed has done neither.
func TestLogFile(t *testing.T) {
	f, err := segments{fs.New()}.Create(t.TempDir(), "log", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	l := f.(*logFile)
	for _, step := range []struct {
		at, length int
		grown      bool
	}{{0, 32, true}, {32, 1000, false}, {1032, ahead, true}, {1032 + ahead, 100, false}, {1<<20 - 10, 10, false}, {1<<20 - 10, 50, true}} {
		if _, err := l.WriteAt(bytes.Repeat([]byte{7}, step.length), int64(step.at)); err != nil {
			t.Fatal(err)
		}
		if l.grown != step.grown {
			t.Errorf("after %d bytes at %d the file system has something to note: %t", step.length, step.at, l.grown)
		}
		if err := l.Sync(); err != nil || l.grown {
			t.Fatal(l.grown, err)
		}
	}
	_ = l.data.Close()
	l.grown = true
	if l.Sync() == nil || !l.grown {
		t.Error("a closed file was synced")
	}
	l.grown = false
	if l.Sync() == nil {
		t.Error("the bytes of a closed file were synced")
	}
}

func openSegments(tb testing.TB, dir string, vfs types.VFS) *wal.WAL {
	tb.Helper()
	w, err := wal.Open(dir, wal.WithSegmentSize(segmentSize), wal.WithSegmentFiler(segment.NewFiler(dir, vfs)))
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

func entry(index, size int) *raft.Log {
	return &raft.Log{Index: uint64(index), Data: bytes.Repeat([]byte{byte(index)}, size)}
}

// BenchmarkSegments appends and syncs groups as one client makes them, and 64.
func BenchmarkSegments(b *testing.B) {
	for name, vfs := range map[string]types.VFS{"reserved": fs.New(), "written": segments{fs.New()}} {
		for _, size := range []int{300, 20000} {
			b.Run(fmt.Sprintf("%s, %d bytes", name, size), func(b *testing.B) {
				w := openSegments(b, b.TempDir(), vfs)
				defer func() { _ = w.Close() }()
				for index := 1; b.Loop(); index++ {
					if err := w.StoreLog(entry(index, size)); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
