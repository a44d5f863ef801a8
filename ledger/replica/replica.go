// Package replica keeps one copy of the ledger: it applies what the log
// agrees on, and answers questions from what it has applied.
//
// A [Replica] is what package consensus calls a machine. The log calls
// Apply, Snapshot and Restore, one at a time; everybody else takes views,
// subscribes and proposes, at any time.
//
// # What stops a replica
//
// A decision that panics is a refusal, on every replica the same. An entry
// that cannot be read, or an event that cannot be recorded, panics out of
// Apply: what the log holds is agreed, so a peer that cannot follow must
// stop rather than go its own way. A replica whose journal cannot be written, or
// holds another history than what the log brings, stands still: [Replica.Failed].
package replica

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/journal"
	"github.com/slapmesh/slapmesh/ledger/view"
)

// A Log orders commands on all replicas. *consensus.Node is one.
type Log interface {
	// Propose appends a command and waits until it is applied here. It
	// returns the index of its entry and the reply that Apply gave it.
	Propose(ctx context.Context, command []byte) (index uint64, reply []byte, err error)
}

// Config says how a replica is run.
type Config struct {
	// Log receives what a person should know. Default: nothing is logged.
	Log *slog.Logger

	// Journal keeps the history of what was decided. Nobody else may append
	// to it. Default: history is not kept.
	Journal *journal.Journal

	// Mismatched is called when the journal holds another history than what the
	// log brings, or is damaged, before the replica stands still: see
	// [Replica.Failed]. Default: nothing.
	Mismatched func(error)

	// History is how many changes are kept for those who follow: who is
	// further behind gets everything again. Default 65536.
	History int
}

// withDefaults returns a completed copy of c.
func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Mismatched == nil {
		c.Mismatched = func(error) {}
	}
	if c.History <= 0 {
		c.History = 1 << 16
	}
	return c
}

// A Replica is a ledger driven by a log. Use [New].
type Replica struct {
	cfg     Config
	board   *view.Board
	history history
	marks   marks
	log     atomic.Pointer[Log]
	failed  chan struct{}
}

// New returns a replica of a mesh that is not founded. It fills as the log
// calls Apply and Restore.
func New(cfg Config) *Replica {
	cfg = cfg.withDefaults()
	s := ledger.NewState()
	s.Chronicle()
	return &Replica{cfg: cfg, board: view.New(s), history: history{limit: cfg.History}, failed: make(chan struct{})}
}

// Attach gives the replica the log to which it proposes. The log is opened
// with the replica as its machine, so it comes later: what is restored before
// is this peer's own.
func (r *Replica) Attach(log Log) { r.log.Store(&log) }

// Apply decides the commands of one committed entry, stamped by the leader,
// and returns the reply to each.
func (r *Replica) Apply(index uint64, at time.Time, commands [][]byte) [][]byte {
	replies := make([][]byte, len(commands))
	r.board.Update(func(s *ledger.State) []ledger.Change {
		at = s.Advance(index, at)
		var changes []ledger.Change
		var entries []journal.Entry
		for n, data := range commands {
			p, c, err := ledger.Parse(data)
			if err != nil {
				panic(fmt.Sprintf("replica: log entry %d, command %d: %v", index, n, err))
			}
			events, err := r.decide(s, c, ledger.Context{At: at, Principal: p})
			replies[n] = ledger.EncodeReply(err)
			changes = append(changes, s.Evolve(events...)...)
			entries = append(entries, entriesOf(s, index, p, s.TakeFacts())...)
		}
		r.write(entries)
		r.history.add(index, changes)
		r.marks.add(index, func() string { return s.Hash().String() })
		return changes
	})
	return replies
}

// decide is s.Decide, but for a panic, which it turns into a refusal.
func (r *Replica) decide(s *ledger.State, c ledger.Command, x ledger.Context) (events []ledger.Event, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			r.cfg.Log.Error("decision failed", "kind", c.Kind(), "fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
			events, err = nil, errors.New("internal error")
		}
	}()
	return s.Decide(c, x)
}

// Snapshot captures the state in constant time. What it returns writes the
// state while Apply goes on.
func (r *Replica) Snapshot() (io.WriterTo, error) {
	s := snapshot{state: r.board.View(), journal: r.cfg.Journal}
	if s.journal != nil {
		s.end = s.journal.Frontier()
	}
	return s, nil
}

// Restore replaces the state by that of a snapshot. If it fails, the state
// is as it was.
func (r *Replica) Restore(from io.Reader) error {
	buffered := bufio.NewReaderSize(from, 1<<16)
	end, told, err := readFrontier(buffered)
	if err != nil {
		return fmt.Errorf("replica: restore: %w", err)
	}
	s, err := ledger.ReadSnapshot(buffered)
	if err != nil {
		return fmt.Errorf("replica: restore: %w", err)
	}
	if told || r.cfg.Journal != nil {
		if err := r.restoreJournal(end, s); err != nil {
			return fmt.Errorf("replica: restore: %w", err)
		}
	}
	s.Chronicle()
	r.history.reset(s.Index())
	r.marks.reset()
	r.board.Restart(s)
	return nil
}

// View returns the ledger as this replica knows it now. It is shared and
// never changes.
func (r *Replica) View() *ledger.State { return r.board.View() }

// WaitIndex returns when the view contains the log up to index.
func (r *Replica) WaitIndex(ctx context.Context, index uint64) error {
	return r.board.WaitIndex(ctx, index)
}

// Await returns a channel that is closed when the view contains the log up to
// index. Who gives up waiting must call forget.
func (r *Replica) Await(index uint64) (reached <-chan struct{}, forget func()) {
	return r.board.Await(index)
}

// Subscribe returns a subscription to changes of the given topics. It must
// be closed.
func (r *Replica) Subscribe(topics ...ledger.Topic) *view.Subscription {
	return r.board.Subscribe(topics...)
}

// Changes returns a view and the changes that led to it from the given
// index. It returns false if they are not remembered.
func (r *Replica) Changes(since uint64) (now *ledger.State, changes []ledger.Change, ok bool) {
	now = r.board.View()
	changes, ok = r.history.between(since, now.Index())
	return now, changes, ok
}

// Propose has the mesh decide c for p, if this peer leads. The error is a
// [*ledger.Refusal] if the ledger refused; otherwise it is that of the log,
// and what became of the command may be unknown.
func (r *Replica) Propose(ctx context.Context, p ledger.Principal, c ledger.Command) (ledger.Outcome, error) {
	if err := r.View().Proposable(c); err != nil {
		return ledger.Outcome{}, err
	}
	data, err := ledger.Encode(p, c)
	if err != nil {
		return ledger.Outcome{}, err
	}
	if _, _, err := ledger.Parse(data); err != nil { // once ordered, it would stop every replica
		return ledger.Outcome{}, &ledger.Refusal{Code: ledger.ErrInvalid, Detail: err.Error()}
	}
	log := r.log.Load()
	if log == nil {
		return ledger.Outcome{}, errors.New("replica: no log is attached")
	}
	index, reply, err := (*log).Propose(ctx, data)
	if err != nil {
		return ledger.Outcome{}, fmt.Errorf("propose %s: %w", c.Kind(), err)
	}
	return ledger.Outcome{Index: index}, ledger.ParseReply(reply)
}
