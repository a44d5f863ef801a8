package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/slapmesh/slapmesh/protocol"
)

// maxEvent bounds one line of a stream of events.
const maxEvent = 4 << 20

// An event is one server-sent event.
type event struct {
	name string
	data []byte
}

// An eventReader reads server-sent events, as far as a slapd sends them.
type eventReader struct{ lines *bufio.Scanner }

func newEventReader(r io.Reader) *eventReader {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxEvent)
	return &eventReader{s}
}

// next returns the next event that has data. At the end of the stream it
// returns io.EOF, and drops an event that was not ended by an empty line.
func (r *eventReader) next() (event, error) {
	e := event{name: "message"}
	some := false
	for r.lines.Scan() {
		line := r.lines.Bytes()
		if len(line) == 0 {
			if some {
				return e, nil
			}
			e = event{name: "message"}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			e.name = string(value)
		case "data":
			if some {
				e.data = append(e.data, '\n')
			}
			if e.data, some = append(e.data, value...), true; len(e.data) > maxEvent {
				return event{}, fmt.Errorf("read event: more than %d bytes", maxEvent)
			}
		}
	}
	if err := r.lines.Err(); err != nil {
		return event{}, fmt.Errorf("read event: %w", err)
	}
	return event{}, io.EOF
}

// follow passes the events of a stream on, those of the given name, until yield
// has enough, which is no error.
func follow[V any](ctx context.Context, c *Client, at string, query url.Values, name string, yield func(V, error) bool) error {
	r, err := c.request(ctx, http.MethodGet, at, query, nil)
	if err != nil {
		return err
	}
	answer, err := c.send(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	events := newEventReader(answer.Body)
	for {
		e, err := events.next()
		if err == io.EOF { //nolint:errorlint // the reader's own promise
			return nil
		}
		if err != nil {
			return c.unreachable(ctx, err)
		}
		switch e.name {
		case name:
			var v V
			if err := json.Unmarshal(e.data, &v); err != nil {
				return fmt.Errorf("watch: %w", err)
			}
			if !yield(v, nil) {
				return nil
			}
		case "error":
			var p protocol.Problem
			if err := json.Unmarshal(e.data, &p); err != nil {
				return fmt.Errorf("watch: %w", err)
			}
			return p.Err()
		}
	}
}
