package consensus

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// A raftLog writes what raft logs to a [slog.Handler]. Raft calls errors what
// it simply tries again, so they become warnings, and warns of what happens in
// every election; its progress is of interest only to who debugs. A message that repeats, as those about a peer that is
// away, is written once in a while.
type raftLog struct {
	handler slog.Handler
	clock   func() time.Time
	closed  <-chan struct{} // from then on nothing is worth a warning
	repeats *repeats
	name    string
	args    []any
}

var _ hclog.Logger = (*raftLog)(nil)

// quiet is how long a repeated message is kept back.
const quiet = 30 * time.Second

// repeats counts what was kept back.
type repeats struct {
	mu   sync.Mutex
	seen map[string]repeat
}

type repeat struct {
	until time.Time
	held  int
}

// maxRepeats bounds the messages that are remembered.
const maxRepeats = 256

func newRaftLog(l *slog.Logger, clock func() time.Time, closed <-chan struct{}) *raftLog {
	return &raftLog{handler: l.Handler(), clock: clock, closed: closed, repeats: &repeats{seen: map[string]repeat{}}}
}

// allow reports whether the message may be written, and how many like it were
// not.
func (r *repeats) allow(key string, now time.Time) (held int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, seen := r.seen[key]
	if seen && now.Before(last.until) {
		last.held++
		r.seen[key] = last
		return 0, false
	}
	if !seen && len(r.seen) >= maxRepeats {
		clear(r.seen)
	}
	r.seen[key] = repeat{until: now.Add(quiet)}
	return last.held, true
}

// Log implements [hclog.Logger].
func (l *raftLog) Log(level hclog.Level, msg string, args ...any) {
	ctx, to := context.Background(), l.level(level) //nolint:forbidigo // raft logs without a context
	if !l.handler.Enabled(ctx, to) {
		return
	}
	args = append(slices.Clip(l.args), args...)
	now := l.clock()
	if to >= slog.LevelInfo {
		held, ok := l.repeats.allow(msg+subject(args), now)
		if !ok {
			return
		}
		if held > 0 {
			args = append(args, "repeated", held)
		}
	}
	record := slog.NewRecord(now, to, "raft: "+msg, 0)
	for i := 0; i+1 < len(args); i += 2 {
		record.AddAttrs(slog.Any(snake(args[i]), plain(args[i+1])))
	}
	_ = l.handler.Handle(ctx, record)
}

func (l *raftLog) level(level hclog.Level) slog.Level {
	select {
	case <-l.closed:
		return slog.LevelDebug
	default:
	}
	switch {
	case level >= hclog.Error:
		return slog.LevelWarn
	case level == hclog.Warn:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// subject is the peer that a message is about, if any.
func subject(args []any) string {
	for i := 0; i+1 < len(args); i += 2 {
		switch args[i] {
		case "peer", "target", "from", "candidate":
			return fmt.Sprint(args[i+1])
		}
	}
	return ""
}

// snake makes a key like those of the rest of the program.
func snake(key any) string {
	if key == "error" {
		return "err"
	}
	return strings.NewReplacer("-", "_", " ", "_").Replace(fmt.Sprint(key))
}

// plain resolves hclog's deferred formats.
func plain(v any) any {
	if f, ok := v.(hclog.Format); ok && len(f) > 0 {
		return fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
	}
	return v
}

// Trace implements [hclog.Logger].
func (l *raftLog) Trace(string, ...any) {}

// Debug implements [hclog.Logger].
func (l *raftLog) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }

// Info implements [hclog.Logger].
func (l *raftLog) Info(msg string, args ...any) { l.Log(hclog.Info, msg, args...) }

// Warn implements [hclog.Logger].
func (l *raftLog) Warn(msg string, args ...any) { l.Log(hclog.Warn, msg, args...) }

// Error implements [hclog.Logger].
func (l *raftLog) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

// IsTrace implements [hclog.Logger].
func (l *raftLog) IsTrace() bool { return false }

// IsDebug implements [hclog.Logger].
func (l *raftLog) IsDebug() bool { return l.enabled(slog.LevelDebug) }

// IsInfo implements [hclog.Logger].
func (l *raftLog) IsInfo() bool { return l.enabled(slog.LevelDebug) }

// IsWarn implements [hclog.Logger].
func (l *raftLog) IsWarn() bool { return l.enabled(slog.LevelWarn) }

// IsError implements [hclog.Logger].
func (l *raftLog) IsError() bool { return l.enabled(slog.LevelWarn) }

func (l *raftLog) enabled(level slog.Level) bool {
	return l.handler.Enabled(context.Background(), level) //nolint:forbidigo // raft logs without a context
}

// ImpliedArgs implements [hclog.Logger].
func (l *raftLog) ImpliedArgs() []any { return l.args }

// With implements [hclog.Logger].
func (l *raftLog) With(args ...any) hclog.Logger {
	with := *l
	with.args = append(slices.Clip(l.args), args...)
	return &with
}

// Name implements [hclog.Logger].
func (l *raftLog) Name() string { return l.name }

// Named implements [hclog.Logger].
func (l *raftLog) Named(name string) hclog.Logger { return l.ResetNamed(name) }

// ResetNamed implements [hclog.Logger].
func (l *raftLog) ResetNamed(name string) hclog.Logger {
	named := *l
	named.name = name
	return &named
}

// SetLevel implements [hclog.Logger]. The handler decides instead.
func (l *raftLog) SetLevel(hclog.Level) {}

// GetLevel implements [hclog.Logger].
func (l *raftLog) GetLevel() hclog.Level { return hclog.Debug }

// StandardLogger implements [hclog.Logger]. Raft does not use it.
func (l *raftLog) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return log.New(io.Discard, "", 0)
}

// StandardWriter implements [hclog.Logger]. Raft does not use it.
func (l *raftLog) StandardWriter(*hclog.StandardLoggerOptions) io.Writer { return io.Discard }
