package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// maxBody bounds a body: a profile in base64 is the largest.
const maxBody = protocol.MaxProfile*4/3 + 64<<10

// readBody takes the whole body before a call is looked at. Reading it here puts
// one deadline and one bound on all of them, and leaves no deadline behind: one
// that is still set when a call waits for its leader would end the call.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) (io.ReadCloser, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return http.NoBody, nil
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(s.cfg.Clock().Add(s.cfg.BodyTimeout)) // a recorder in a test has none
	var buf bytes.Buffer
	if n := r.ContentLength; n > 0 && n <= maxBody {
		buf.Grow(int(n) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		_ = control.SetReadDeadline(time.Time{})
		return io.NopCloser(&buf), nil
	}
	w.Header().Set("Connection", "close") // the rest of the body is not waited for: the deadline stays
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, malformed(http.StatusRequestEntityTooLarge, "body has more than %d bytes", maxBody)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, malformed(http.StatusRequestTimeout, "body did not arrive within %v", s.cfg.BodyTimeout)
	default:
		return nil, malformed(http.StatusBadRequest, "body was cut short")
	}
}

// answer writes a value as JSON.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a caller that went away has no use for it
}
