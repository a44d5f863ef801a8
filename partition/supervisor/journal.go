package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Bounds on a partition's log: what is older is dropped. Twice maxLog is kept
// at most.
const (
	maxLog  = 4 << 20
	maxLine = 8 << 10
)

// LogName is the partition's log in its run folder. What was in it before it
// grew too large is beside it, with [OldSuffix].
const (
	LogName   = "log"
	OldSuffix = ".1"
)

// A journal is a partition's log: one file for all its services, a line each
// with time and origin, so that what happened reads in order.
type journal struct {
	path  string
	clock func() time.Time
	max   int64

	mu   sync.Mutex
	file *os.File // nil while it cannot be opened
	size int64
}

func openJournal(dir string, clock func() time.Time) *journal {
	return &journal{path: filepath.Join(dir, LogName), clock: clock, max: maxLog}
}

// note writes one line. A log that cannot be written loses the line: services
// go on all the same.
func (j *journal) note(origin string, line []byte) {
	line = bytes.TrimRight(line, "\r\n")
	line = line[:min(len(line), maxLine)]
	out := make([]byte, 0, len(line)+len(origin)+32)
	out = j.clock().UTC().AppendFormat(out, "2006-01-02T15:04:05.000Z")
	out = append(append(append(append(out, ' '), origin...), ": "...), line...)
	out = append(out, '\n')

	j.mu.Lock()
	defer j.mu.Unlock()
	if j.size+int64(len(out)) > j.max {
		j.rotateLocked()
	}
	if j.file == nil && j.openLocked() != nil {
		return
	}
	n, _ := j.file.Write(out)
	j.size += int64(n)
}

func (j *journal) openLocked() error {
	f, err := os.OpenFile(j.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	j.file, j.size = f, info.Size()
	return nil
}

func (j *journal) rotateLocked() {
	if j.file != nil {
		_ = j.file.Close()
		j.file = nil
	}
	if err := os.Rename(j.path, j.path+OldSuffix); err != nil {
		_ = os.Truncate(j.path, 0) // full or broken: a bounded log matters more than an old one
	}
	j.size = 0
}

// copy notes each line that comes from r until it ends.
func (j *journal) copy(origin string, r io.Reader) {
	buf := make([]byte, 0, 512) // small: there is one for each service, most of them silent
	chunk := make([]byte, 512)
	for {
		n, err := r.Read(chunk)
		buf = append(buf, chunk[:n]...)
		for {
			i := bytes.IndexByte(buf, '\n')
			if i < 0 && len(buf) < maxLine {
				break
			}
			if i < 0 {
				i = maxLine - 1
			}
			j.note(origin, buf[:i+1])
			buf = buf[:copy(buf, buf[i+1:])]
		}
		if err != nil {
			if len(buf) > 0 {
				j.note(origin, buf)
			}
			return
		}
		if n == len(chunk) && len(chunk) < 16<<10 {
			chunk = make([]byte, 2*len(chunk)) // a talkative one
		}
	}
}

// A tail keeps the last bytes written to it, to say why a command failed.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const maxTail = 2 << 10

// Write keeps the end of p.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p[max(0, len(p)-maxTail):]...)
	if over := len(t.buf) - maxTail; over > 0 {
		t.buf = t.buf[:copy(t.buf, t.buf[over:])]
	}
	return len(p), nil
}

// last returns the last line that says something.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := bytes.Split(bytes.TrimSpace(t.buf), []byte("\n"))
	line := bytes.TrimSpace(lines[len(lines)-1])
	return string(bytes.ToValidUTF8(line[:min(len(line), 300)], []byte("?")))
}

// explainEnd joins how a command ended with the last it said.
func explainEnd(reason string, t *tail) string {
	if reason == "" {
		return ""
	}
	if said := t.last(); said != "" {
		return fmt.Sprintf("%s: %s", reason, said)
	}
	return reason
}
