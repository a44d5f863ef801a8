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
	// Propose appends a command and waits until it is applied here.
	Propose(ctx context.Context, command []byte) (index uint64, reply []byte, err error)
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

// propose has the log order a command of the given caller.
func (l *Local) propose(ctx context.Context, peer ledger.PeerID, it item) result {
	c, err := ledger.ParseCommand(it.Kind, it.Data)
	if err != nil {
		return refused(&ledger.Refusal{Code: ledger.ErrInvalid, Detail: err.Error()})
	}
	p, err := bearer(l.Ledger.View(), peer, it.Token)
	if err != nil {
		return refused(err)
	}
	if _, err := l.Ledger.View().Recognise(p, l.Clock()); err != nil && len(it.Token) > 0 {
		return refused(err) // who is nobody should not fill the log
	}
	if err := l.Ledger.View().Proposable(c); err != nil {
		return refused(err)
	}
	data, err := ledger.Encode(p, c)
	if err != nil {
		return result{Fault: err.Error()}
	}
	index, reply, err := l.Log.Propose(ctx, data)
	if err == nil {
		return result{Index: index, Reply: reply}
	}
	if leader, not := l.NotLeader(err); not {
		return result{NotLeader: &notLeader{leader}}
	}
	return result{Fault: err.Error()}
}

func refused(err error) result { return result{Reply: ledger.EncodeReply(err)} }

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
	out, ctx := answer{make([]result, len(batch.Items))}, r.Context()
	var wg sync.WaitGroup
	for n, it := range batch.Items {
		wg.Go(func() { out.Results[n] = s.cfg.Local.propose(ctx, peer, it) })
	}
	wg.Wait()
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
