package rest

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/slapmesh/slapmesh/protocol"
)

// Config says how a Server answers.
type Config struct {
	// Version is shown in the OpenAPI document. Default "dev".
	Version string

	// Log receives faults of the peer. Default: they are dropped.
	Log *slog.Logger

	// Clock is the time, for deadlines. Default: the machine's.
	Clock func() time.Time

	// Metrics returns what answers GET /metrics, in Prometheus' words, to a
	// caller. Default: nothing does.
	Metrics func(protocol.Service) (http.Handler, error)

	// Heartbeat is how often a silent stream shows that it lives. Default
	// 15 s.
	Heartbeat time.Duration

	// BodyTimeout is how long a caller may take to send a body, and to take
	// a piece of an answer. Default 30 s.
	BodyTimeout time.Duration
}

func (c Config) withDefaults() Config {
	c.Version = cmp.Or(c.Version, "dev")
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now //nolint:forbidigo // deadlines of sockets are told in the machine's own time
	}
	c.Heartbeat = cmp.Or(c.Heartbeat, 15*time.Second)
	c.BodyTimeout = cmp.Or(c.BodyTimeout, 30*time.Second)
	return c
}

// A Server knows the calls of the protocol. It may serve through several doors
// at once.
type Server struct {
	cfg Config
	mux *http.ServeMux
	api huma.API

	sessions sync.WaitGroup // connections that HTTP no longer counts
}

// New returns a Server.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg.withDefaults(), mux: http.NewServeMux()}
	s.api = humago.New(s.mux, s.document())
	s.fleet()
	s.owners()
	s.software()
	s.people()
	s.groups()
	s.accounts()
	s.money()
	s.history()
	s.instances()
	s.quotes()
	s.trees()
	s.streams()
	s.slap()
	if s.cfg.Metrics != nil {
		s.mux.HandleFunc("GET /metrics", s.metrics)
	}
	s.mux.HandleFunc("/", s.unknown)
	return s
}

// OpenAPI returns the document that describes the calls.
func (s *Server) OpenAPI() *huma.OpenAPI { return s.api.OpenAPI() }

// Handler returns the calls behind a door.
func (s *Server) Handler(d Door) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.recover(w, r)
		if err := d.checkHost(r.Host); err != nil {
			s.fail(w, r, err)
			return
		}
		if !public[r.URL.Path] {
			service, err := d.Authenticate(r)
			if err != nil {
				s.fail(w, r, err)
				return
			}
			r = r.WithContext(context.WithValue(r.Context(), serviceKey{}, service))
		}
		body, err := s.readBody(w, r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		r.Body = body
		s.mux.ServeHTTP(w, r)
	})
}

// metrics shows how the peer and what it runs are, in Prometheus' words: no
// part of the protocol, and not in its document.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	handler, err := s.cfg.Metrics(serviceOf(r.Context()))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	handler.ServeHTTP(w, r)
}

// public are the paths that need no caller.
var public = map[string]bool{"/openapi.json": true}

// grace is how long calls have to end when a server stops.
const grace = 3 * time.Second

// Serve answers on a listener through a door until ctx is done. Then it ends
// what streams and what only waits, lets other calls finish, and returns nil. It
// closes the listener.
func (s *Server) Serve(ctx context.Context, l net.Listener, d Door) error {
	calls, cut := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), stopKey{}, ctx.Done()))
	defer cut()
	server := &http.Server{
		Handler:           s.Handler(d),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return calls },
		ConnContext:       withCredential,
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		limited, done := context.WithTimeout(calls, grace)
		defer done()
		if server.Shutdown(limited) != nil {
			cut()
			_ = server.Close() // who does not end is ended
		}
	})
	err := server.Serve(l)
	if !stop() {
		<-stopped
	}
	s.sessions.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// stopKey finds the channel that is closed when the server of a call stops.
type stopKey struct{}

// untilStop returns a context for what may last: it ends when the server stops,
// while that of a short call does not.
func untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stopping, ok := ctx.Value(stopKey{}).(<-chan struct{})
	if !ok {
		return ctx, cancel
	}
	go func() {
		select {
		case <-stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

type serviceKey struct{}

// serviceOf returns the Service that the door gave.
func serviceOf(ctx context.Context) protocol.Service {
	service, _ := ctx.Value(serviceKey{}).(protocol.Service)
	return service
}
