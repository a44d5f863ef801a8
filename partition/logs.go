package partition

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/sandbox"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// pollLogs is how often a log that is followed is looked at.
const pollLogs = 150 * time.Millisecond

// Logs implements [Host].
func (c *Computer) Logs(ctx context.Context, i ledger.Instance, follow bool) (io.ReadCloser, error) {
	if err := c.holds(i); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(sandbox.Run(c.folder(i.Partition)))
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	l := &logs{root: root, to: w}
	context.AfterFunc(ctx, func() { _ = w.CloseWithError(io.EOF) }) // a reader that does not read holds up nothing
	var done sync.WaitGroup
	done.Go(func() {
		defer func() { _ = root.Close() }()
		err := l.copyAll(ctx, follow)
		if errors.Is(err, context.Canceled) {
			err = nil
		}
		_ = w.CloseWithError(err)
	})
	return &logReader{r, func() { cancel(); _ = r.Close(); done.Wait() }}, nil
}

// A logReader ends the copying when it is closed.
type logReader struct {
	*io.PipeReader
	end func()
}

// Close ends the log and waits until nothing of it is left.
func (r *logReader) Close() error {
	r.end()
	return nil
}

// logs copies a partition's log out. The partition may put anything in the
// place of its log, so nothing but regular files of its folder is opened.
type logs struct {
	root *os.Root
	to   io.Writer
	file *os.File // that is followed; nil while there is none
}

func (l *logs) copyAll(ctx context.Context, follow bool) error {
	defer func() {
		if l.file != nil {
			_ = l.file.Close()
		}
	}()
	for _, name := range []string{supervisor.LogName + supervisor.OldSuffix, supervisor.LogName} {
		if err := l.open(name); err != nil {
			return err
		}
		if err := l.copy(); err != nil {
			return err
		}
	}
	for follow {
		if err := wait(ctx, pollLogs); err != nil {
			return err
		}
		if err := l.copy(); err != nil {
			return err
		}
		if l.rotated() {
			if err := errors.Join(l.copy(), l.open(supervisor.LogName)); err != nil {
				return err
			}
		}
	}
	return nil
}

// open goes on with another file, or with none if it is not there.
func (l *logs) open(name string) error {
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
	f, err := l.root.OpenFile(name, os.O_RDONLY|openPlain, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, f.Close(), errors.New("log is not a file"))
	}
	l.file = f
	return nil
}

func (l *logs) copy() error {
	if l.file == nil {
		return nil
	}
	_, err := io.Copy(l.to, l.file)
	return err
}

// rotated says whether another file has taken the log's name.
func (l *logs) rotated() bool {
	now, err := l.root.Lstat(supervisor.LogName)
	if err != nil {
		return false
	}
	if l.file == nil {
		return true
	}
	have, err := l.file.Stat()
	return err == nil && !os.SameFile(now, have)
}
