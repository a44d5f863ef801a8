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

	// ReserveBytes is how much of the disk must be free. With less, nothing
	// is added ([ErrFull]): the store itself cannot bear a full disk, and ends
	// the process. It is looked at when the journal is opened and at each
	// sync. Default 64 MiB.
	ReserveBytes uint64

	// SyncEvery is how often Run makes durable what was appended. Default one
	// second.
	SyncEvery time.Duration

	// Damaged is told, once, when something in the store is found not to be
	// what was written there. It must not wait for the journal. Default: it is
	// only logged.
	Damaged func(error)

	// ReadOnly opens a journal to look at it, and leaves every byte as it is.
	ReadOnly bool

	fs vfs.FS // tests: a disk that crashes
}

// withDefaults returns a completed copy of o.
func (o Options) withDefaults() Options {
	o.CacheBytes = cmp.Or(o.CacheBytes, 4<<20)
	o.BufferBytes = cmp.Or(o.BufferBytes, 8<<20)
	o.ReserveBytes = cmp.Or(o.ReserveBytes, 64<<20)
	o.SyncEvery = cmp.Or(o.SyncEvery, time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Damaged == nil {
		o.Damaged = func(error) {}
	}
	o.Damaged = onceFor(o.Damaged)
	if o.fs == nil {
		o.fs = vfs.Default
	}
	return o
}

// onceFor returns what calls f with the first error only.
func onceFor(f func(error)) func(error) {
	var once sync.Once
	return func(err error) { once.Do(func() { f(err) }) }
}

// A Journal is the history on one peer's disk. Use [Open].
type Journal struct {
	// Set once.
	db      *pebble.DB
	dir     string
	options Options

	// Sizes, for readers that need no more.
	size   atomic.Uint64 // entries, whether present or missing
	synced atomic.Uint64 // entries that survive a crash

	// A write failed, or the journal is closed: nothing more is written.
	broken atomic.Pointer[error]
	full   atomic.Bool // less than the reserve is free

	mu   sync.RWMutex
	head Frontier // at size; guarded by mu
	gap  *gap     // entries that are missing, or nil; guarded by mu

	writer writer // owned by whoever holds mu for writing

	filling sync.Mutex // held by Fill; taken before mu
	keeping sync.Mutex // held by Keep; taken before mu
}

// Open opens the journal in a folder, or makes one. At most one process may
// have it open.
func Open(dir string, options Options) (*Journal, error) {
	options = options.withDefaults()
	db, err := openStore(dir, options)
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", dir, err)
	}
	j := &Journal{db: db, dir: dir, options: options}
	j.measure()
	if err := j.recover(); err != nil {
		return nil, fmt.Errorf("open journal %s: %w", dir, errors.Join(unread(err), db.Close()))
	}
	return j, nil
}

// storeOptions are small: a peer that does nothing must weigh nothing.
func storeOptions(o Options) *pebble.Options {
	p := &pebble.Options{
		FS:                          o.fs,
		ReadOnly:                    o.ReadOnly,
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
				o.Damaged(fmt.Errorf("%w: %s: %w", ErrDamaged, info.Path, info.Details))
			},
		},
	}
	p.Experimental.FileCacheShards = 1
	// One compaction runs at a time, and its end begins the next: the usual
	// scheduler also looks ten times a second whether there is room for more.
	p.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	p.Experimental.ReadSamplingMultiplier = -1 // reads cause no compactions
	for i := range p.Levels {
		p.Levels[i].BlockSize = 16 << 10
	}
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	return p
}

// Close makes everything durable and releases the store. Nobody may be using
// the journal. One that a failed write broke is left to the end of the
// process: the store might wait for ever.
func (j *Journal) Close() error {
	if !j.broken.CompareAndSwap(nil, &errClosed) {
		return nil
	}
	if err := j.db.Close(); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}

var (
	errClosed   = errors.New("the journal is closed")
	errReadOnly = errors.New("the journal is opened to be read only")
)

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
	if err := cmp.Or(ctx.Err(), j.failure()); err != nil {
		return j.synced.Load(), fmt.Errorf("sync journal: %w", err)
	}
	j.measure()
	size := j.size.Load()
	if size <= j.synced.Load() {
		return j.synced.Load(), nil
	}
	if err := j.write(func() error { return j.db.LogData(nil, pebble.Sync) }); err != nil {
		return j.synced.Load(), fmt.Errorf("sync journal: %w", err)
	}
	for {
		was := j.synced.Load()
		if was >= size || j.synced.CompareAndSwap(was, size) {
			return max(was, size), nil
		}
	}
}

// ErrFull says that the disk is all but full. What was appended is safe, and
// appending goes on when there is room again.
var ErrFull = errors.New("the disk is full")

// measure looks how much of the disk is free. A file system that does not
// tell is taken to have room.
func (j *Journal) measure() {
	usage, err := j.options.fs.GetDiskUsage(j.dir)
	j.full.Store(err == nil && usage.AvailBytes < j.options.ReserveBytes)
}

// usable says why nothing can be written now.
func (j *Journal) usable() error {
	if err := j.failure(); err != nil {
		return err
	}
	if j.full.Load() {
		return fmt.Errorf("%w: less than %d MiB are free in %s", ErrFull, j.options.ReserveBytes>>20, j.dir)
	}
	return nil
}

// failure says why nothing can be written any more.
func (j *Journal) failure() error {
	if err := j.broken.Load(); err != nil {
		return *err
	}
	if j.options.ReadOnly {
		return errReadOnly
	}
	return nil
}

// write writes to the store. What the store holds after a failed write is
// not known, and it panics when its own log fails it, so the first failure
// is the last write.
func (j *Journal) write(do func() error) (err error) {
	if err := j.failure(); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("store: %v", p)
		}
		if err != nil {
			j.broken.CompareAndSwap(nil, &err)
		}
	}()
	return do()
}

// storeLog passes on what the store has to say. What it calls fatal would
// leave the history behind the ledger, so the peer stops.
type storeLog struct{ log *slog.Logger }

// Infof says nothing: what a store does all day is nobody's business.
func (storeLog) Infof(string, ...any) {}

// Errorf logs.
func (l storeLog) Errorf(format string, args ...any) {
	l.log.Error("journal store", "err", fmt.Sprintf(format, args...))
}

// Fatalf ends the process, unless a caller of ours waits for the write.
func (l storeLog) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("journal: "+format, args...))
}
