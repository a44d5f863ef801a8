package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"
	"time"
)

// ErrNotRunning is the answer when no supervisor runs in a folder.
var ErrNotRunning = errors.New("supervisor not running")

// ErrStopping is the answer of a supervisor that is about to end: launch
// another when it has.
var ErrStopping = errors.New("supervisor is stopping")

// ErrUnknownCall is the answer of a supervisor that is older than its caller.
var ErrUnknownCall = errors.New("the partition's supervisor does not know the call: stop and start the instance")

// SocketName is the supervisor's socket in its run folder.
const SocketName = "s"

// A Client speaks to the supervisor whose run folder it names. Each call has a
// connection of its own; calls may be made at the same time.
type Client struct {
	// Dir is the run folder, as the caller sees it. Its path may be longer
	// than a socket's may.
	Dir string
}

// Apply makes s what the partition should be. It returns when the supervisor
// has taken it over; what becomes of it, [Client.Watch] tells.
func (c *Client) Apply(ctx context.Context, s Spec) error {
	_, err := c.once(ctx, request{Call: callApply, Spec: &s})
	return err
}

// Status returns what the partition is now.
func (c *Client) Status(ctx context.Context) (Status, error) {
	r, err := c.once(ctx, request{Call: callStatus})
	if err != nil {
		return Status{}, err
	}
	if r.Status == nil {
		return Status{}, errors.New("status: supervisor sent none")
	}
	return *r.Status, nil
}

// Watch calls f with the status now and whenever it changes, until ctx is
// done or the supervisor is gone; it returns why. States that follow one
// another faster than f takes them are skipped.
func (c *Client) Watch(ctx context.Context, f func(Status)) error {
	conn, err := c.call(ctx, request{Call: callWatch})
	if err != nil {
		return err
	}
	defer conn.close()
	for {
		r, err := conn.read(ctx)
		if err != nil {
			return err
		}
		if r.Status != nil {
			f(*r.Status)
		}
	}
}

// Stop ends all services, each within its own grace or the given one if that
// is shorter and not zero, and then the supervisor. It returns when the
// services have ended.
func (c *Client) Stop(ctx context.Context, grace time.Duration) error {
	_, err := c.once(ctx, request{Call: callStop, Grace: grace})
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return nil // it was faster to go than to answer
	}
	return err
}

// An Exec is a command to run inside. Nil streams are empty.
type Exec struct {
	Argv, Env      []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	// Terminal is the size of one that the command gets, if set: then all that
	// it says comes as Stdout. Sizes tells of later ones; it may be nil.
	Terminal *Size
	Sizes    <-chan Size
}

// Exec runs a command inside, as the services run, and returns its exit
// status. The command ends with ctx. Exec may leave one Read of Stdin behind
// that takes a last piece of it.
func (c *Client) Exec(ctx context.Context, e Exec) (int, error) {
	conn, err := c.call(ctx, request{Call: callExec, Exec: &execRequest{Argv: e.Argv, Env: e.Env, Terminal: e.Terminal}})
	if err != nil {
		return 0, err
	}
	defer conn.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in := &frameWriter{conn: conn}
	go in.resize(ctx, e.Sizes)
	go in.feed(e.Stdin)
	for {
		r, err := conn.read(ctx)
		if err != nil {
			return 0, err
		}
		if r.Done {
			return r.Code, nil
		}
		to := e.Stdout
		if r.Stream == streamErr {
			to = e.Stderr
		}
		if to == nil {
			continue
		}
		if _, err := to.Write(r.Data); err != nil {
			return 0, err
		}
	}
}

// PID returns the supervisor's process id as the caller counts. It is what
// the kernel knows of the socket's owner, not what the supervisor says.
func (c *Client) PID(ctx context.Context) (int, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	return c.owner(conn)
}

// once makes a call with one reply.
func (c *Client) once(ctx context.Context, r request) (reply, error) {
	conn, err := c.call(ctx, r)
	if err != nil {
		return reply{}, err
	}
	defer conn.close()
	return conn.read(ctx)
}

// A calling is one call under way.
type calling struct {
	net.Conn
	stop func() bool // forget the context
}

func (c *Client) call(ctx context.Context, r request) (*calling, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	k := &calling{conn, context.AfterFunc(ctx, func() { _ = conn.Close() })}
	r.Version = protocolVersion
	if err := writeFrame(conn, r); err != nil {
		k.close()
		return nil, fmt.Errorf("%s: %w", r.Call, err)
	}
	return k, nil
}

func (k *calling) close() {
	k.stop()
	_ = k.Close()
}

func (k *calling) read(ctx context.Context) (reply, error) {
	var r reply
	if err := readFrame(k, &r); err != nil {
		if ctx.Err() != nil {
			return reply{}, ctx.Err()
		}
		return reply{}, fmt.Errorf("supervisor: %w", err)
	}
	return r, r.failure()
}

// resize sends each size of the caller's terminal.
func (w *frameWriter) resize(ctx context.Context, sizes <-chan Size) {
	for {
		select {
		case size := <-sizes:
			if w.send(reply{Size: &size}) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// feed sends what comes from stdin, and its end.
func (w *frameWriter) feed(stdin io.Reader) {
	if stdin != nil {
		buf := make([]byte, 32<<10)
		for {
			n, err := stdin.Read(buf)
			if n > 0 && w.send(reply{Stream: streamIn, Data: buf[:n]}) != nil {
				return
			}
			if err != nil {
				break
			}
		}
	}
	_ = w.send(reply{Stream: streamIn})
}

func (c *Client) dial(ctx context.Context) (*net.UnixConn, error) {
	path, done, err := socketPath(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, err
	}
	defer done()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, ErrNotRunning
	case err != nil:
		return nil, fmt.Errorf("call supervisor: %w", plain(err))
	}
	return conn.(*net.UnixConn), nil
}
