package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/slapmesh/slapmesh/protocol"
)

// statuses maps the reasons for a refusal to HTTP. The exhaustive linter finds
// a code that is missing.
var statuses = map[protocol.Code]int{
	protocol.ErrInvalid:      http.StatusUnprocessableEntity,
	protocol.ErrNotFound:     http.StatusNotFound,
	protocol.ErrConflict:     http.StatusConflict,
	protocol.ErrExhausted:    http.StatusServiceUnavailable,
	protocol.ErrUnauthorized: http.StatusUnauthorized,
	protocol.ErrForbidden:    http.StatusForbidden,
	protocol.ErrUnavailable:  http.StatusServiceUnavailable,
	protocol.ErrPayment:      http.StatusPaymentRequired,
	protocol.ErrInternal:     http.StatusInternalServerError,
}

// internal is all that a caller learns of a fault of ours.
const internal = "internal error: see the log of this slapd"

// A statusError refuses with a status that says more than its code does.
type statusError struct {
	error
	status int
}

func (e *statusError) Unwrap() error { return e.error }

// malformed refuses what was sent with a status of its own.
func malformed(status int, format string, args ...any) error {
	return &statusError{protocol.Errorf(protocol.ErrInvalid, format, args...), status}
}

// problemOf is the only place that chooses a status and a text for an error.
func problemOf(err error) protocol.Problem {
	code := protocol.CodeOf(err)
	status, known := statuses[code]
	if special := (*statusError)(nil); errors.As(err, &special) {
		status = special.status
	}
	text := err.Error()
	switch {
	case !known && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		code, status, text = protocol.ErrUnavailable, http.StatusServiceUnavailable, "the call was cut short"
	case !known:
		code, status, text = "", http.StatusInternalServerError, internal
	}
	return protocol.Problem{Title: http.StatusText(status), Status: status, Detail: text, Code: code}
}

// report logs an error that is the peer's fault, and returns what the caller may
// know. Nobody else logs a failed call.
func (s *Server) report(ctx context.Context, method, path string, err error) protocol.Problem {
	p := problemOf(err)
	if p.Code == "" {
		s.cfg.Log.LogAttrs(ctx, slog.LevelError, "request failed",
			slog.String("method", method), slog.String("path", path), slog.Any("err", err))
	}
	return p
}

// fail answers with a refusal.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	writeProblem(w, s.report(r.Context(), r.Method, r.URL.Path, err))
}

func writeProblem(w http.ResponseWriter, p protocol.Problem) {
	switch p.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="slapd"`)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers only
	}
	w.Header().Set("Content-Type", protocol.ProblemType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // a caller that went away has no use for it
}

// recover answers for a handler that panicked; the peer goes on.
func (s *Server) recover(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	s.fail(w, r, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
}

// unknown answers for paths that nobody serves.
func (s *Server) unknown(w http.ResponseWriter, r *http.Request) {
	s.fail(w, r, protocol.Errorf(protocol.ErrNotFound, "no call %s %.200s: see /openapi.json", r.Method, r.URL.Path))
}

// A humaProblem is a Problem as huma wants an error.
type humaProblem struct{ protocol.Problem }

// Error returns the problem's line.
func (p *humaProblem) Error() string { return p.Detail }

// GetStatus implements [huma.StatusError].
func (p *humaProblem) GetStatus() int { return p.Status }

// ContentType implements [huma.ContentTypeFilter].
func (p *humaProblem) ContentType(string) string { return protocol.ProblemType }

// translate makes a Problem of what huma itself refuses.
func translate(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := protocol.Problem{Title: m.Title, Status: m.Status, Detail: m.Detail, Code: protocol.ErrInvalid}
	if m.Status >= http.StatusInternalServerError {
		p.Code, p.Detail = "", internal
		return p, nil
	}
	var texts []string
	for _, e := range m.Errors[:min(len(m.Errors), maxFaults)] {
		f := protocol.Fault{Location: short(strings.TrimPrefix(e.Location, "body.")), Message: short(e.Message)}
		p.Errors = append(p.Errors, f)
		texts = append(texts, strings.TrimPrefix(f.Location+": "+f.Message, ": "))
	}
	if len(texts) > 0 {
		p.Detail += ": " + strings.Join(texts, "; ")
	}
	return p, nil
}

// maxFaults bounds how many faults an answer lists, and maxFault how long each
// is: what was sent is not sent back.
const maxFaults, maxFault = 8, 100

func short(s string) string {
	if len(s) > maxFault {
		return strings.ToValidUTF8(s[:maxFault], "") + "…"
	}
	return s
}
