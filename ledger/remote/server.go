package remote

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/view"
)

// A Ledger is what a server shows. *replica.Replica is one.
type Ledger interface {
	// View returns the ledger as it is known now. It never changes.
	View() *ledger.State

	// Subscribe says when something changes. It must be closed.
	Subscribe(topics ...ledger.Topic) *view.Subscription

	// WaitIndex returns when the view contains the log up to index.
	WaitIndex(ctx context.Context, index uint64) error

	// Changes returns a view and what led to it from the given index, or
	// false if that is not remembered.
	Changes(since uint64) (now *ledger.State, changes []ledger.Change, ok bool)
}

// A Log orders commands if this peer leads. *consensus.Node is one.
type Log interface {
	// ProposeAll appends commands and waits until they are applied here: all,
	// or none. It returns the reply to each.
	ProposeAll(ctx context.Context, commands [][]byte) (index uint64, replies [][]byte, err error)
}

// A Local is how this peer takes part in ordering commands.
type Local struct {
	Ledger interface{ View() *ledger.State }
	Log    Log

	// NotLeader says whether err, of Log, means that this peer did not
	// propose because it does not lead, and who does, if that is known.
	NotLeader func(err error) (leader ledger.PeerID, not bool)

	// Clock tells the time, by which tokens expire.
	Clock func() time.Time

	// Decided is called when commands that a peer passed on are decided, just
	// before it is told: it will wait for them in its own copy. May be nil.
	Decided func(peer ledger.PeerID)

	copying sync.Mutex // held while a view is copied
}

// propose has the log order commands of the given caller, and says what became
// of each.
func (l *Local) propose(ctx context.Context, peer ledger.PeerID, items []item) []result {
	results := make([]result, len(items))
	var run [][]byte // of commands that share a log entry
	var asked []int  // their items
	size := 0
	flush := func() {
		for n, res := range l.order(ctx, run) {
			results[asked[n]] = res
		}
		run, asked, size = nil, nil, 0
	}
	v := l.Ledger.View()
	for n, it := range items {
		data, err := l.seal(v, peer, it)
		if err != nil {
			results[n] = result{Reply: ledger.EncodeReply(err)}
			continue
		}
		if size += len(data); size > maxRun && len(run) > 0 {
			flush()
			size = len(data)
		}
		run, asked = append(run, data), append(asked, n)
	}
	flush()
	return results
}

// seal returns the form in the log of what a caller asks.
func (l *Local) seal(v *ledger.State, peer ledger.PeerID, it item) ([]byte, error) {
	c, err := ledger.ParseCommand(it.Kind, it.Data)
	if err != nil {
		return nil, &ledger.Refusal{Code: ledger.ErrInvalid, Detail: err.Error()}
	}
	p, err := bearer(v, peer, it.Token)
	if err != nil {
		return nil, err
	}
	if _, err := v.Recognise(p, l.Clock()); err != nil && len(it.Token) > 0 {
		return nil, err // who is nobody should not fill the log
	}
	if err := v.Proposable(c); err != nil {
		return nil, err
	}
	if it.own {
		return ledger.Seal(p, it.Kind, it.Data)
	}
	return ledger.Encode(p, c) // the log holds one form of it only
}

// order has the log order commands, and says what became of each.
func (l *Local) order(ctx context.Context, commands [][]byte) []result {
	if len(commands) == 0 {
		return nil
	}
	index, replies, err := l.Log.ProposeAll(ctx, commands)
	failed := result{}
	if err != nil {
		failed.Fault = err.Error()
		if leader, not := l.NotLeader(err); not {
			failed = result{NotLeader: &notLeader{leader}}
		}
	}
	results := make([]result, len(commands))
	for n := range results {
		if results[n] = failed; err == nil {
			results[n] = result{Index: index, Reply: replies[n]}
		}
	}
	return results
}

// ServerConfig says what a server shows and to whom.
type ServerConfig struct {
	// Caller says which peer is at the other end of the connection.
	Caller func(*http.Request) (ledger.PeerID, bool)

	// Ledger is what is shown.
	Ledger Ledger

	// Local orders what is proposed.
	Local *Local

	// Log receives what a person should know. Default: nothing is logged.
	Log *slog.Logger

	// Heartbeat is how often a silent stream says that it lives. Default 5 s.
	Heartbeat time.Duration

	// Lag is how long a follower may be behind in what does not concern its
	// own account and computer. Default 100 ms.
	Lag time.Duration

	// Pace is the least time between two frames. Default 5 ms.
	Pace time.Duration
}

// withDefaults returns a completed copy of c, or says what is missing.
func (c ServerConfig) withDefaults() (ServerConfig, error) {
	if c.Caller == nil || c.Ledger == nil || c.Local == nil {
		return c, errors.New("remote: server config: Caller, Ledger and Local required")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Heartbeat <= 0 {
		c.Heartbeat = 5 * time.Second
	}
	if c.Lag <= 0 {
		c.Lag = 100 * time.Millisecond
	}
	if c.Pace <= 0 {
		c.Pace = 5 * time.Millisecond
	}
	return c, nil
}

// A Server answers peers that do not lead or do not replicate. It is an
// http.Handler for the paths of this package.
type Server struct {
	cfg ServerConfig
	mux http.ServeMux
}

// NewServer returns a server. It has nothing to close: its streams end with
// their requests.
func NewServer(cfg ServerConfig) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg}
	s.mux.HandleFunc("POST "+pathPropose, s.propose)
	s.mux.HandleFunc("GET "+pathWatch, s.watch)
	s.mux.HandleFunc("POST "+pathQuote, s.quote)
	s.mux.HandleFunc("GET "+pathProfile+"{digest}", s.profile)
	return s, nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// caller returns the peer that asks, or answers that it is unknown.
func (s *Server) caller(w http.ResponseWriter, r *http.Request) (ledger.PeerID, bool) {
	id, ok := s.cfg.Caller(r)
	if !ok {
		http.Error(w, "who are you?", http.StatusUnauthorized)
	}
	return id, ok
}

func (s *Server) propose(w http.ResponseWriter, r *http.Request) {
	peer, ok := s.caller(w, r)
	if !ok {
		return
	}
	var batch call
	if err := readBody(r.Body, &batch); err != nil {
		http.Error(w, "propose: "+err.Error(), http.StatusBadRequest)
		return
	}
	if len(batch.Items) > maxBatch {
		http.Error(w, "propose: too many commands", http.StatusRequestEntityTooLarge)
		return
	}
	out := answer{s.cfg.Local.propose(r.Context(), peer, batch.Items)}
	if s.cfg.Local.Decided != nil {
		s.cfg.Local.Decided(peer)
	}
	for n, res := range out.Results {
		if res.Fault != "" {
			s.cfg.Log.Warn("forwarded command failed", "kind", batch.Items[n].Kind, "peer", peer, "err", res.Fault)
		}
	}
	data, err := ledger.Marshal(out)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(data) // who asked is gone if this fails
}

func (s *Server) profile(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.caller(w, r); !ok {
		return
	}
	data, ok := s.cfg.Ledger.View().Profile(ledger.ReleaseDigest(r.PathValue("digest")))
	if !ok {
		http.Error(w, "no such release", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(data) // who asked is gone if this fails
}
