package daemon

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/protocol"
)

// defaultTail is how many last lines of each service are shown when nobody
// says how many.
const defaultTail = 100

// logs returns the part of an instance's log that q asks for. The log is one
// file for all services; each line has its time and its service.
func (d *Daemon) logs(ctx context.Context, i ledger.Instance, q protocol.LogQuery) (io.ReadCloser, error) {
	if q.Tail == 0 {
		q.Tail = defaultTail
	}
	whole, err := d.agent.Logs(ctx, i, false)
	if err != nil {
		return nil, err
	}
	last, size, err := tail(whole, q)
	if err = errors.Join(err, whole.Close()); err != nil {
		return nil, err
	}
	if !q.Follow {
		return io.NopCloser(bytes.NewReader(last)), nil
	}
	more, err := d.agent.Logs(ctx, i, true)
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(follow(w, more, last, size, q.Service)) }()
	return followed{r, more}, nil
}

// A followed log ends when it is closed.
type followed struct {
	*io.PipeReader
	more io.Closer
}

// Close ends the log.
func (f followed) Close() error { return errors.Join(f.more.Close(), f.PipeReader.Close()) }

// follow writes what was there and then what comes, without what was there.
func follow(to io.Writer, more io.Reader, last []byte, seen int64, service string) error {
	if _, err := to.Write(last); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, more, seen); err != nil {
		return err
	}
	lines := bufio.NewReader(more)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 && (service == "" || serviceOf(line) == service) {
			if _, err := to.Write(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// tail returns the last lines of each service that q asks for, in the order
// in which they were written, and the size of the whole log.
func tail(log io.Reader, q protocol.LogQuery) (last []byte, size int64, err error) {
	var kept [][]byte
	count := map[string]int{}
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadBytes('\n')
		size += int64(len(line))
		if len(line) > 0 {
			if s := serviceOf(line); q.Service == "" || s == q.Service {
				kept = append(kept, line)
				count[s]++
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, err
		}
	}
	for _, line := range kept {
		s := serviceOf(line)
		if count[s]--; q.Tail < 0 || count[s] < q.Tail {
			last = append(last, line...)
		}
	}
	return last, size, nil
}

// serviceOf returns the service that wrote a line: the word after its time.
func serviceOf(line []byte) string {
	_, rest, _ := strings.Cut(string(line[:min(len(line), 256)]), " ")
	service, _, _ := strings.Cut(rest, ": ")
	return service
}
