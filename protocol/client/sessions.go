package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/slapmesh/slapmesh/protocol"
)

// Logs implements [protocol.Sessions].
func (c *Client) Logs(ctx context.Context, ref protocol.Ref, q protocol.LogQuery) (io.ReadCloser, error) {
	query := account(ref)
	if q.Follow {
		query.Set("follow", "true")
	}
	if q.Tail != 0 {
		query.Set("tail", strconv.Itoa(q.Tail))
	}
	if q.Service != "" {
		query.Set("service", q.Service)
	}
	r, err := c.request(ctx, http.MethodGet, path("instances", ref.Reference, "logs"), query, nil)
	if err != nil {
		return nil, err
	}
	answer, err := c.send(r)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// Exec implements [protocol.Sessions].
func (c *Client) Exec(ctx context.Context, ref protocol.Ref, in protocol.ExecInput, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	conn, err := c.upgrade(ctx, ref)
	if err != nil {
		return 0, err
	}
	defer conn.Close() //nolint:errcheck // a frame has told how it went
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	start, err := json.Marshal(in)
	if err != nil {
		return 0, protocol.Errorf(protocol.ErrInvalid, "exec: %v", err)
	}
	if len(start) > protocol.MaxFrame {
		return 0, protocol.Errorf(protocol.ErrInvalid, "exec: the command line has more than %d bytes", protocol.MaxFrame)
	}
	out := protocol.NewFrameWriter(conn)
	if err := out.Write(protocol.FrameStart, start); err != nil {
		return 0, c.unreachable(ctx, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go resize(ctx, out, in.Sizes)
	go send(out, stdin) // ends with stdin, or with the connection at its next byte
	code, err := receive(conn, stdout, stderr)
	if errors.Is(err, errLost) {
		return 0, c.unreachable(ctx, err)
	}
	return code, err
}

// upgrade asks for a connection that carries frames.
func (c *Client) upgrade(ctx context.Context, ref protocol.Ref) (io.ReadWriteCloser, error) {
	r, err := c.request(ctx, http.MethodPost, path("instances", ref.Reference, "exec"), account(ref), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", protocol.ExecProtocol)
	answer, err := c.send(r)
	if err != nil {
		return nil, err
	}
	conn, ok := answer.Body.(io.ReadWriteCloser)
	if answer.StatusCode != http.StatusSwitchingProtocols || !ok {
		_ = answer.Body.Close()
		return nil, fmt.Errorf("exec: unexpected answer %s", answer.Status)
	}
	return conn, nil
}

// send passes stdin on. If it fails, the other direction tells why.
func send(out *protocol.FrameWriter, stdin io.Reader) {
	if stdin != nil {
		_, _ = io.Copy(out.Stream(protocol.FrameStdin), stdin)
	}
	_ = out.Write(protocol.FrameStdinEnd, nil)
}

// resize tells each size of the caller's terminal.
func resize(ctx context.Context, out *protocol.FrameWriter, sizes <-chan protocol.TerminalSize) {
	for {
		select {
		case size := <-sizes:
			data, err := json.Marshal(size)
			if err != nil || out.Write(protocol.FrameResize, data) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// errLost is that the connection broke before the last frame.
var errLost = errors.New("no last frame")

// receive passes the output on until the last frame.
func receive(conn io.Reader, stdout, stderr io.Writer) (int, error) {
	for {
		f, err := protocol.ReadFrame(conn)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errLost, err)
		}
		switch f.Kind {
		case protocol.FrameStdout:
			_, err = stdout.Write(f.Data)
		case protocol.FrameStderr:
			_, err = stderr.Write(f.Data)
		case protocol.FrameExit:
			return exitCode(f.Data)
		case protocol.FrameError:
			var p protocol.Problem
			if err := json.Unmarshal(f.Data, &p); err != nil {
				return 0, fmt.Errorf("exec: %w", err)
			}
			return 0, p.Err()
		case protocol.FramePing:
		case protocol.FrameStart, protocol.FrameStdin, protocol.FrameStdinEnd, protocol.FrameData, protocol.FrameEnd, protocol.FrameReset, protocol.FrameResize:
			err = fmt.Errorf("frame of kind %d from the peer", f.Kind)
		}
		if err != nil {
			return 0, fmt.Errorf("exec: %w", err)
		}
	}
}

func exitCode(data []byte) (int, error) {
	code, err := strconv.Atoi(string(data))
	if err != nil {
		return 0, fmt.Errorf("exec: exit code: %w", err)
	}
	return code, nil
}
