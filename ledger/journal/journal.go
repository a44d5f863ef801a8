package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options say how a journal is kept. The zero value is what a peer wants.
type Options struct {
	// Log receives what a person should know. Default: nothing is logged.
	Log *slog.Logger

	// CacheBytes is how much of the store is kept in memory for readers.
	// Appending needs none. Default 4 MiB.
	CacheBytes int64

	// BufferBytes is how much is gathered in memory before it is written to
	// its place: more makes long runs of appends faster. Up to four times as
	// much is held under load. Default 8 MiB.
	BufferBytes uint64

	// SyncEvery is how often Run makes durable what was appended. Default one
	// second.
	SyncEvery time.Duration

	fs vfs.FS // tests: a disk that crashes
}

// withDefaults returns a completed copy of o.
func (o Options) withDefaults() Options {
	o.CacheBytes = cmp.Or(o.CacheBytes, 4<<20)
	o.BufferBytes = cmp.Or(o.BufferBytes, 8<<20)
	o.SyncEvery = cmp.Or(o.SyncEvery, time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.fs == nil {
		o.fs = vfs.Default
	}
	return o
}

// A Journal is the history on one peer's disk. Use [Open].
type Journal struct {
	// Set once.
	db      *pebble.DB
	options Options

	// Sizes, for readers that need no more.
	size   atomic.Uint64 // entries, whether present or missing
	synced atomic.Uint64 // entries that survive a crash

	mu     sync.RWMutex
	head   Frontier // at size; guarded by mu
	gap    *gap     // entries that are missing, or nil; guarded by mu
	broken error    // a write failed: nothing more is written; guarded by mu

	writer writer // owned by whoever holds mu for writing

	filling sync.Mutex // held by Fill; taken before mu
	keeping sync.Mutex // held by Keep; taken before mu
}

// Open opens the journal in a folder, or makes one. At most one process may
// have it open.
func Open(dir string, options Options) (*Journal, error) {
	options = options.withDefaults()
	db, err := pebble.Open(dir, storeOptions(options))
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", dir, err)
	}
	j := &Journal{db: db, options: options}
	if err := j.recover(); err != nil {
		return nil, fmt.Errorf("open journal %s: %w", dir, errors.Join(err, db.Close()))
	}
	return j, nil
}

// storeOptions are small: a peer that does nothing must weigh nothing.
func storeOptions(o Options) *pebble.Options {
	p := &pebble.Options{
		FS:                          o.fs,
		FormatMajorVersion:          pebble.FormatWALSyncChunks,
		CacheSize:                   o.CacheBytes,
		MemTableSize:                o.BufferBytes,
		MemTableStopWritesThreshold: 4,
		MaxOpenFiles:                256,
		L0CompactionThreshold:       8,
		L0StopWritesThreshold:       32,
		LBaseMaxBytes:               512 << 20,
		BytesPerSync:                1 << 20,
		WALBytesPerSync:             1 << 20,
		Logger:                      storeLog{o.Log},
		EventListener: &pebble.EventListener{
			// By default the store would end the process. We say which entry
			// it is: the reader gets the error.
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				o.Log.Error("journal is damaged on disk", "file", info.Path, "err", info.Details)
			},
		},
	}
	p.Experimental.FileCacheShards = 1
	p.Experimental.ReadSamplingMultiplier = -1 // reads cause no compactions
	for i := range p.Levels {
		p.Levels[i].BlockSize = 16 << 10
	}
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	return p
}

// Close makes everything durable and releases the store. Iterations must
// have ended.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.db.Close(); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	j.broken = errClosed
	return nil
}

var errClosed = errors.New("journal is closed")

// Run makes durable what was appended, every [Options.SyncEvery], until ctx
// is done. It returns an error only if the disk gives one: then the peer
// must stop.
func (j *Journal) Run(ctx context.Context) error {
	tick := time.NewTicker(j.options.SyncEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := j.Sync(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// Size returns the number of entries.
func (j *Journal) Size() uint64 { return j.size.Load() }

// Sync makes durable what was appended before the call, and returns how many
// entries survive a crash from now on. It waits for the disk, however long
// that takes: ctx only keeps it from beginning.
func (j *Journal) Sync(ctx context.Context) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return j.synced.Load(), err
	}
	size := j.size.Load()
	if size <= j.synced.Load() {
		return j.synced.Load(), nil
	}
	if err := j.db.LogData(nil, pebble.Sync); err != nil {
		return j.synced.Load(), fmt.Errorf("sync journal: %w", err)
	}
	for {
		was := j.synced.Load()
		if was >= size || j.synced.CompareAndSwap(was, size) {
			return max(was, size), nil
		}
	}
}

// storeLog passes on what the store has to say. What it calls fatal would
// leave the history behind the ledger, so the peer stops.
type storeLog struct{ log *slog.Logger }

func (storeLog) Infof(string, ...any) {}

func (l storeLog) Errorf(format string, args ...any) {
	l.log.Error("journal store", "err", fmt.Sprintf(format, args...))
}

func (l storeLog) Fatalf(format string, args ...any) {
	panic("journal: store: " + fmt.Sprintf(format, args...))
}
