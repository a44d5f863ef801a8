package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// A change is one value of a watched sequence, or its error.
type change struct {
	value any
	err   error
}

// watch answers with what instances are and become.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, q protocol.InstanceQuery) error {
	return s.events(w, r, "instance", func(ctx context.Context, yield func(any, error) bool) {
		for i, err := range serviceOf(ctx).Watch(ctx, q) {
			if !yield(i.Filled(), err) {
				return
			}
		}
	})
}

// events answers with server-sent events: one of the given name for each
// value, and at the end "error" if it ends badly. Comments keep a silent stream
// alive.
func (s *Server) events(w http.ResponseWriter, r *http.Request, name string, values func(context.Context, func(any, error) bool)) error {
	ctx, cancel := untilStop(r.Context())
	changes := make(chan change)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(changes)
		values(ctx, func(value any, err error) bool {
			select {
			case changes <- change{value, err}:
				return true
			case <-ctx.Done():
				return false
			}
		})
	}()
	defer func() { cancel(); <-done }()

	w.Header().Set("Content-Type", "text/event-stream")
	out := s.stream(w)
	beat := time.NewTicker(s.cfg.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
			if _, err := io.WriteString(out, ": alive\n\n"); err != nil {
				return nil
			}
		case c, more := <-changes:
			if !more || s.tell(out, r, name, c) != nil {
				return nil
			}
		}
	}
}

// tell writes one event.
func (s *Server) tell(out io.Writer, r *http.Request, name string, c change) error {
	value := c.value
	if c.err != nil {
		name, value = "error", s.report(r.Context(), r.Method, r.URL.Path, c.err)
	}
	data, err := json.Marshal(value) // has no line feeds
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "event: %s\ndata: %s\n\n", name, data)
	return err
}
