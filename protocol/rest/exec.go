package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// exec turns the connection into frames and runs a program on it. Whoever closes
// the connection ends the program.
func (s *Server) exec(w http.ResponseWriter, r *http.Request) error {
	if r.Header.Get("Upgrade") != protocol.ExecProtocol {
		w.Header().Set("Upgrade", protocol.ExecProtocol)
		return malformed(http.StatusUpgradeRequired, "exec: ask for \"Upgrade: %s\"", protocol.ExecProtocol)
	}
	if _, err := serviceOf(r.Context()).Instance(r.Context(), refOf(r)); err != nil {
		return err // while there is still a status to say it with
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	s.sessions.Add(1)
	defer s.sessions.Done()
	defer conn.Close() //nolint:errcheck // both ends know by a frame how it went

	ctx, cancel := untilStop(r.Context())
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_ = conn.SetDeadline(time.Time{})
	if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+protocol.ExecProtocol+"\r\n\r\n"); err != nil {
		return nil //nolint:nilerr // gone already
	}
	x := &execution{server: s, in: buffered, out: protocol.NewFrameWriter(timedWriter{conn, s}), service: serviceOf(r.Context()), ref: refOf(r)}
	code, err := x.run(ctx)
	x.finish(context.WithoutCancel(r.Context()), code, err)
	return nil
}

// An execution is one program on one connection.
type execution struct {
	server  *Server
	in      io.Reader
	out     *protocol.FrameWriter
	service protocol.Service
	ref     protocol.Ref
}

// run runs the program that the first frame names, and returns its exit code.
func (x *execution) run(ctx context.Context) (int, error) {
	first, err := protocol.ReadFrame(x.in)
	if err != nil {
		return 0, protocol.Errorf(protocol.ErrInvalid, "exec: %v", err)
	}
	in, err := startOf(first)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stdin, feed := io.Pipe()
	sizes := make(chan protocol.TerminalSize, 1)
	in.Sizes = sizes
	var loops sync.WaitGroup
	loops.Go(func() { x.ping(ctx, cancel) })
	go func() { // ends when the connection is closed, after finish
		x.feed(feed, sizes)
		cancel() // a caller that is gone wants no program
	}()
	code, err := x.service.Exec(ctx, x.ref, in, stdin, x.out.Stream(protocol.FrameStdout), x.out.Stream(protocol.FrameStderr))
	cancel()
	_ = stdin.Close()
	loops.Wait()
	return code, err
}

// startOf reads the frame that says what to run.
func startOf(f protocol.Frame) (in protocol.ExecInput, err error) {
	if f.Kind != protocol.FrameStart {
		return in, protocol.Errorf(protocol.ErrInvalid, "exec: frame of kind %d where the program was expected", f.Kind)
	}
	d := json.NewDecoder(bytes.NewReader(f.Data))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return in, protocol.Errorf(protocol.ErrInvalid, "exec: program: %v", err)
	}
	if len(in.Argv) == 0 || in.Argv[0] == "" {
		return in, protocol.Errorf(protocol.ErrInvalid, "exec: no program named")
	}
	if t := in.Terminal; t != nil && !terminalType.MatchString(t.Type) {
		return in, protocol.Errorf(protocol.ErrInvalid, "exec: no terminal is of type %q: say one such as xterm", t.Type)
	}
	return in, nil
}

// terminalType is what a TERM may be (term(7)), within bounds of ours.
var terminalType = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._-]{0,63}$`)

// feed passes stdin and sizes on until the connection breaks. After the end of
// stdin it goes on reading, to notice when the caller goes.
func (x *execution) feed(stdin *io.PipeWriter, sizes chan protocol.TerminalSize) {
	defer stdin.Close() //nolint:errcheck // a pipe
	for {
		f, err := protocol.ReadFrame(x.in)
		switch {
		case err != nil:
			return
		case f.Kind == protocol.FrameStdinEnd:
			_ = stdin.Close()
		case f.Kind == protocol.FrameStdin:
			if _, err := stdin.Write(f.Data); err != nil && !errors.Is(err, io.ErrClosedPipe) {
				return
			}
		case f.Kind == protocol.FrameResize:
			var size protocol.TerminalSize
			if json.Unmarshal(f.Data, &size) != nil {
				return
			}
			select {
			case <-sizes: // nobody took the one before, which holds no more
			default:
			}
			sizes <- size
		default:
			return // not ours to receive
		}
	}
}

// ping notices a caller that is gone while the program neither reads nor
// writes.
func (x *execution) ping(ctx context.Context, cancel func()) {
	beat := time.NewTicker(x.server.cfg.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			if x.out.Write(protocol.FramePing, nil) != nil {
				cancel()
				return
			}
		}
	}
}

// finish sends the last frame.
func (x *execution) finish(ctx context.Context, code int, err error) {
	if err == nil {
		_ = x.out.Write(protocol.FrameExit, strconv.AppendInt(nil, int64(code), 10))
		return
	}
	problem := x.server.report(ctx, http.MethodPost, "exec", err)
	data, err := json.Marshal(problem)
	if err != nil {
		panic(err) // strings and numbers only
	}
	_ = x.out.Write(protocol.FrameError, data)
}

// A timedWriter gives each write its own time.
type timedWriter struct {
	conn net.Conn
	s    *Server
}

func (t timedWriter) Write(p []byte) (int, error) {
	if err := t.conn.SetWriteDeadline(t.s.cfg.Clock().Add(t.s.cfg.BodyTimeout)); err != nil {
		return 0, err
	}
	return t.conn.Write(p)
}
