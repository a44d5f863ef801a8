package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
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
	_ = control.SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, malformed(http.StatusRequestEntityTooLarge, "body has more than %d bytes", maxBody)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, malformed(http.StatusRequestTimeout, "body did not arrive within %v", s.cfg.BodyTimeout)
	case err != nil:
		return nil, malformed(http.StatusBadRequest, "body was cut short")
	}
	return io.NopCloser(&buf), nil
}

// decode reads a body that is one JSON object of known fields.
func decode(r *http.Request, into any) error {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && t != "application/json" {
		return malformed(http.StatusUnsupportedMediaType, "body is %.60s: application/json wanted", t)
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return malformed(http.StatusBadRequest, "body: something follows the JSON object")
	}
	return nil
}

func badJSON(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return malformed(http.StatusBadRequest, "body is empty: a JSON object wanted")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return malformed(http.StatusBadRequest, "body: the JSON object is cut short")
	case errors.As(err, &syntax):
		return malformed(http.StatusBadRequest, "body: not JSON at byte %d: %v", syntax.Offset, syntax)
	case errors.As(err, &kind):
		return malformed(http.StatusUnprocessableEntity, "body: %s is a JSON %s: %s wanted", kind.Field, kind.Value, kind.Type)
	}
	return malformed(http.StatusUnprocessableEntity, "body: %s", strings.TrimPrefix(err.Error(), "json: "))
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
