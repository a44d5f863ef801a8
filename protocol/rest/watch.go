package rest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// A change is one value of a watched sequence, or its error.
type change struct {
	instance protocol.Instance
	err      error
}

// watch answers with server-sent events: "instance" for each value, and at the
// end "error" if it ends badly. Comments keep a silent stream alive.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, q protocol.InstanceQuery) error {
	ctx, cancel := untilStop(r.Context())
	changes := make(chan change)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(changes)
		for i, err := range serviceOf(ctx).Watch(ctx, q) {
			select {
			case changes <- change{i, err}:
			case <-ctx.Done():
				return
			}
		}
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
			if !more || s.tell(out, r, c) != nil {
				return nil
			}
		}
	}
}

// tell writes one event.
func (s *Server) tell(out io.Writer, r *http.Request, c change) error {
	var (
		name      = "instance"
		value any = c.instance.Filled()
	)
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
