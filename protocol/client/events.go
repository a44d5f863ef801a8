package client

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
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
