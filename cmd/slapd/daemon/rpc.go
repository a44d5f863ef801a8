package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/mesh"
)

// An rpc is plain HTTP over mesh streams: peers call one another with it. Who
// calls is known from the connection.
type rpc struct {
	mesh   *mesh.Mesh
	mux    *http.ServeMux
	client *http.Client
	log    *slog.Logger
	serves http.Handler // the mux, as callers get to it
}

// maxCall bounds the body of a call between peers and of its answer.
const maxCall = 1 << 20

func newRPC(m *mesh.Mesh, log *slog.Logger) *rpc {
	r := &rpc{mesh: m, mux: http.NewServeMux(), log: log}
	r.client = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return m.Dial(ctx, mesh.PeerID(host), mesh.KindRPC)
		},
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     15 * time.Second,
		DisableCompression:  true,
	}}
	return r
}

type callerKey struct{}

// callerOf returns the peer at the other end of a call.
func callerOf(r *http.Request) mesh.PeerID {
	id, _ := r.Context().Value(callerKey{}).(mesh.PeerID)
	return id
}

// Run serves calls until ctx is done.
func (r *rpc) Run(ctx context.Context) error {
	server := &http.Server{
		Handler:           r.serves,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(r.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, callerKey{}, mesh.PeerOf(c))
		},
	}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopped()
	defer r.client.CloseIdleConnections()
	if err := server.Serve(r.mesh.Listen(mesh.KindRPC)); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve peers: %w", err)
	}
	return nil
}

// url is the address of a path at a peer.
func (r *rpc) url(peer mesh.PeerID, path string) string { return "http://" + string(peer) + path }

// A callError is how a refusal crosses from peer to peer.
type callError struct {
	Code   ledger.Code `json:"code,omitempty"`
	Detail string      `json:"detail"`
	Leader mesh.PeerID `json:"leader,omitempty"` // ask there, when the one asked does not lead
}

// call posts in to a path at a peer and reads the answer into out. Refusals
// arrive as *ledger.Refusal, "ask the leader" as *elsewhereError.
func (r *rpc) call(ctx context.Context, peer mesh.PeerID, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("call %s at %s: %w", path, peer.Short(), err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url(peer, path), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("call %s at %s: %w", path, peer.Short(), err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return fmt.Errorf("call %s at %s: %w", path, peer.Short(), err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxCall))
	if err != nil {
		return fmt.Errorf("call %s at %s: %w", path, peer.Short(), err)
	}
	if resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal(answer, out); err != nil {
			return fmt.Errorf("call %s at %s: answer: %w", path, peer.Short(), err)
		}
		return nil
	}
	var failure callError
	if err := json.Unmarshal(answer, &failure); err != nil {
		return fmt.Errorf("call %s at %s: HTTP status %d", path, peer.Short(), resp.StatusCode)
	}
	switch {
	case resp.StatusCode == http.StatusMisdirectedRequest:
		return &elsewhereError{failure.Leader}
	case failure.Code != "":
		return &ledger.Refusal{Code: failure.Code, Detail: failure.Detail}
	}
	return fmt.Errorf("call %s at %s: %s", path, peer.Short(), failure.Detail)
}

// An elsewhereError says that only the leader can answer.
type elsewhereError struct {
	Leader mesh.PeerID // "" if the one asked does not know
}

func (e *elsewhereError) Error() string {
	if e.Leader == "" {
		return "no leader is known"
	}
	return "peer " + e.Leader.Short() + " leads"
}

// handle serves a path with a function of the caller and the decoded body.
func handle[In, Out any](r *rpc, path string, f func(ctx context.Context, caller mesh.PeerID, in In) (Out, error)) {
	r.mux.HandleFunc("POST "+path, func(w http.ResponseWriter, req *http.Request) {
		var in In
		out, err := func() (out Out, err error) { //nolint:contextcheck // it takes that of the request
			if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, maxCall)).Decode(&in); err != nil {
				return out, &ledger.Refusal{Code: ledger.ErrInvalid, Detail: "call " + path + ": body: " + err.Error()}
			}
			return f(req.Context(), callerOf(req), in)
		}()
		if err != nil {
			r.refuse(w, path, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(out); err != nil {
			r.log.Debug("caller went away", "path", path, "err", err)
		}
	})
}

// refuse answers a call that failed. A fault of ours is logged, not told.
func (r *rpc) refuse(w http.ResponseWriter, path string, err error) {
	failure, status := callError{Detail: "internal error"}, http.StatusInternalServerError
	var elsewhere *elsewhereError
	switch {
	case errors.As(err, &elsewhere):
		failure, status = callError{Leader: elsewhere.Leader}, http.StatusMisdirectedRequest
	case ledger.CodeOf(err) != "":
		failure, status = callError{Code: ledger.CodeOf(err), Detail: err.Error()}, http.StatusUnprocessableEntity
	default:
		r.log.Warn("call failed", "path", path, "err", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(failure); err != nil {
		r.log.Debug("caller went away", "path", path, "err", err)
	}
}
