package remote

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/view"
)

// A cut is how far, and for whom, a slice was cut. Who returns with the same
// viewer and epoch is sent what changed since, anyone else everything.
type cut struct {
	index  uint64
	epoch  uint64
	viewer ledger.Viewer
}

// cutOf returns the cut of a slice that its owner has.
func cutOf(s *ledger.State, self ledger.PeerID) cut {
	mesh, _ := s.Mesh()
	v, err := s.Viewer(self)
	if err != nil {
		return cut{} // an empty slice, or one of a peer that was removed
	}
	return cut{s.Index(), mesh.Epoch, v}
}

func (c cut) query() string {
	return "?since=" + strconv.FormatUint(c.index, 10) +
		"&epoch=" + strconv.FormatUint(c.epoch, 10) +
		"&account=" + string(c.viewer.Account) + // a word
		"&all=" + strconv.FormatBool(c.viewer.All) +
		"&projects=" + c.viewer.Projects // words, colons and commas
}

func parseCut(r *http.Request, peer ledger.PeerID) cut {
	q := r.URL.Query()
	index, _ := strconv.ParseUint(q.Get("since"), 10, 64) // 0, if it is none
	epoch, _ := strconv.ParseUint(q.Get("epoch"), 10, 64)
	return cut{index, epoch, ledger.Viewer{
		Peer: peer, Account: ledger.AccountName(q.Get("account")), All: q.Get("all") == "true", Projects: q.Get("projects"),
	}}
}

// catchUp is how long a server that is behind its client waits to get there,
// before it sends the client to another one.
const catchUp = 2 * time.Second

func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	peer, ok := s.caller(w, r)
	if !ok {
		return
	}
	at := parseCut(r, peer)
	if mesh, _ := s.cfg.Ledger.View().Mesh(); at.epoch != mesh.Epoch {
		at.index = 0
	}
	ctx, cancel := context.WithTimeout(r.Context(), catchUp)
	err := s.cfg.Ledger.WaitIndex(ctx, at.index)
	cancel()
	if err != nil {
		http.Error(w, "behind you", http.StatusServiceUnavailable)
		return
	}
	v, err := s.cfg.Ledger.View().Viewer(peer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", contentType)
	stream := &stream{server: s, w: w, control: http.NewResponseController(w), at: at, full: at.index == 0 || v != at.viewer}
	stream.at.viewer.Peer = peer
	if err := stream.run(r.Context()); err != nil && r.Context().Err() == nil {
		s.cfg.Log.Info("a peer stopped watching", "peer", peer, "err", err)
	}
}

// A stream sends one peer its slice.
type stream struct {
	server  *Server
	w       http.ResponseWriter
	control *http.ResponseController
	at      cut  // what the peer has
	full    bool // the peer has nothing that can be built upon
}

// run sends frames until ctx is done, the peer is gone or it is no member
// any more. What concerns the peer is sent at once, but for the pace; the
// rest follows within the lag.
func (t *stream) run(ctx context.Context) error {
	cfg := t.server.cfg
	rest := cfg.Ledger.Subscribe(ledger.TopicIndex())
	defer rest.Close()
	own, err := t.subscribe()
	if err != nil {
		return err
	}
	defer func() { own.Close() }()

	heartbeat, late, pace := time.NewTimer(cfg.Heartbeat), time.NewTimer(cfg.Lag), time.NewTimer(cfg.Pace)
	defer heartbeat.Stop()
	defer late.Stop()
	defer pace.Stop()
	changed := own.Changed()   // nil while the pace does not allow a frame
	armed, paced := true, true // late and pace are running
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pace.C:
			paced = false
			changed = own.Changed()
			continue
		case <-rest.Changed():
			if !armed {
				armed = true
				late.Reset(cfg.Lag)
			}
			continue
		case <-changed:
		case <-late.C:
			armed = false
		case <-heartbeat.C:
		}
		was := t.at.viewer
		if err := t.send(); err != nil {
			return err
		}
		heartbeat.Reset(cfg.Heartbeat)
		if t.at.viewer != was {
			own.Close()
			if own, err = t.subscribe(); err != nil {
				return err
			}
		}
		if !paced {
			paced = true
			pace.Reset(cfg.Pace)
		}
		changed = nil
	}
}

// subscribe returns a subscription to what the peer should hear of at once.
func (t *stream) subscribe() (*view.Subscription, error) {
	v, err := t.server.cfg.Ledger.View().Viewer(t.at.viewer.Peer)
	if err != nil {
		return nil, err
	}
	if v.All {
		return t.server.cfg.Ledger.Subscribe(ledger.TopicAll()), nil
	}
	topics := []ledger.Topic{ledger.TopicComputer(ledger.ComputerID(v.Peer)), ledger.TopicSoftware()}
	for _, account := range v.Accounts() {
		topics = append(topics, ledger.TopicAccount(account))
	}
	return t.server.cfg.Ledger.Subscribe(topics...), nil
}

// send brings the peer up to date: with what changed, or with everything if
// that is not known or the peer is shown something else than before.
func (t *stream) send() error {
	now, changes, known := t.server.cfg.Ledger.Changes(t.at.index)
	v, err := now.Viewer(t.at.viewer.Peer)
	if err != nil {
		return err
	}
	frames := now.FullFrames(v)
	if known && !t.full && v == t.at.viewer {
		frames = func(yield func(ledger.Frame) bool) { yield(now.NextFrame(v, slices.Values(changes))) }
	}
	for f := range frames {
		// The deadline frees what a peer holds that does not read any more.
		_ = t.control.SetWriteDeadline(t.server.cfg.Local.Clock().Add(writeTimeout)) // not every writer has one
		if err := writeFrame(t.w, f); err != nil {
			return err
		}
	}
	mesh, _ := now.Mesh()
	t.at, t.full = cut{now.Index(), mesh.Epoch, v}, false
	return t.control.Flush()
}

const writeTimeout = 30 * time.Second
