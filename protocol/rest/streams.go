package rest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

func (s *Server) streams() {
	reference := parameter("path", "reference", "string", "the requester's own reference")
	account := parameter("query", "account", "string", "whose instance; the caller's own, if not given")
	text := &huma.Response{Description: "Lines, each led by the service's name", Content: map[string]*huma.MediaType{"text/plain": {}}}
	s.direct(huma.Operation{
		OperationID: "logs", Method: http.MethodGet, Path: "/v1/instances/{reference}/logs", Tags: []string{"sessions"},
		Summary: "What the services of an instance wrote",
		Parameters: []*huma.Param{
			reference, account,
			parameter("query", "follow", "boolean", "go on with what is written from now on"),
			parameter("query", "tail", "integer", "this many last lines of each service; 100, if not given, all, if negative"),
			parameter("query", "service", "string", "only this one"),
		},
		Responses: map[string]*huma.Response{"200": text},
	}, s.logs)
	s.direct(huma.Operation{
		OperationID: "exec", Method: http.MethodPost, Path: "/v1/instances/{reference}/exec", Tags: []string{"sessions"},
		Summary:    "Run a program inside an instance's partition; upgrades to " + protocol.ExecProtocol,
		Parameters: []*huma.Param{reference, account, parameter("header", "Upgrade", "string", protocol.ExecProtocol)},
		Responses:  map[string]*huma.Response{"101": {Description: "Frames: a kind byte, a 32-bit big-endian length, data"}},
	}, s.exec)
	s.direct(huma.Operation{
		OperationID: "connect", Method: http.MethodPost, Path: "/v1/instances/{reference}/connect", Tags: []string{"sessions"},
		Summary: "Connect to a port of an instance, wherever it runs; upgrades to " + protocol.ConnectProtocol,
		Parameters: []*huma.Param{
			reference, account,
			parameter("query", "port", "string", "its name or number; the only one, if not given"),
			parameter("header", "Upgrade", "string", protocol.ConnectProtocol),
		},
		Responses: map[string]*huma.Response{"101": {Description: "Frames: a kind byte (9 data, 10 end, 11 reset), a 32-bit big-endian length, data"}},
	}, s.connect)
}

func (s *Server) logs(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	follow, err := flag(query, "follow")
	if err != nil {
		return err
	}
	q := protocol.LogQuery{Follow: follow, Service: query.Get("service")}
	if text := query.Get("tail"); text != "" {
		if q.Tail, err = strconv.Atoi(text); err != nil {
			return protocol.Errorf(protocol.ErrInvalid, "tail is %.40q: a number of lines wanted", text)
		}
	}
	return s.pour(w, r, "text/plain; charset=utf-8", func(ctx context.Context) (io.ReadCloser, error) {
		return serviceOf(ctx).Logs(ctx, refOf(r), q)
	})
}

// pour answers with what open returns, for as long as there is some.
func (s *Server) pour(w http.ResponseWriter, r *http.Request, kind string, open func(ctx context.Context) (io.ReadCloser, error)) error {
	ctx, cancel := untilStop(r.Context())
	defer cancel()
	reader, err := open(ctx)
	if err != nil {
		return err
	}
	defer reader.Close() //nolint:errcheck // read only

	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	out := s.stream(w)
	if _, err := io.Copy(out, reader); err != nil && ctx.Err() == nil && out.err == nil {
		s.report(ctx, r.Method, r.URL.Path, err)
		panic(http.ErrAbortHandler) // too late for a status: cut, so that it does not look complete
	}
	return nil
}

// A stream writes pieces of an answer at once, each within its own time.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	now     func() time.Time
	timeout time.Duration
	err     error // of the last write
}

// stream starts an answer of unknown length.
func (s *Server) stream(w http.ResponseWriter) *stream {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	out := &stream{w: w, control: http.NewResponseController(w), now: s.cfg.Clock, timeout: s.cfg.BodyTimeout}
	out.err = out.control.Flush()
	return out
}

// Write writes p and sees it off.
func (s *stream) Write(p []byte) (int, error) {
	if err := s.control.SetWriteDeadline(s.now().Add(s.timeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.err = err
		return 0, err
	}
	n, err := s.w.Write(p)
	if err == nil {
		err = s.control.Flush()
	}
	s.err = err
	return n, err
}
