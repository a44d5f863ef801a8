package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// Config says whom to ask. One of Socket, Address and Dial is needed.
type Config struct {
	// Socket is the path of a peer's control socket.
	Socket string

	// Address is the HOST:PORT of a peer's local API.
	Address string

	// Token is the secret that the local API wants.
	Token string
	// Authorization is shown instead, as it is: by a peer that passes a call on.
	Authorization string

	// Dial opens a connection to the peer in some other way.
	Dial func(ctx context.Context) (net.Conn, error)
}

// A Client asks one peer. It may be used concurrently.
type Client struct {
	cfg  Config
	http *http.Client
}

var _ protocol.Service = (*Client)(nil)

// New returns a Client. It does not connect yet.
func New(cfg Config) (*Client, error) {
	given := 0
	for _, is := range []bool{cfg.Socket != "", cfg.Address != "", cfg.Dial != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return nil, errors.New("client: config: one of Socket, Address and Dial required")
	}
	c := &Client{cfg: cfg}
	c.http = &http.Client{
		Transport: &http.Transport{
			DialContext:         c.dial,
			MaxIdleConnsPerHost: 256,
			IdleConnTimeout:     time.Minute,
			DisableCompression:  true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Close drops idle connections. Calls that are under way go on.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

func (c *Client) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	var d net.Dialer
	switch {
	case c.cfg.Socket != "":
		return d.DialContext(ctx, "unix", c.cfg.Socket)
	case c.cfg.Address != "":
		return d.DialContext(ctx, "tcp", c.cfg.Address)
	default:
		return c.cfg.Dial(ctx)
	}
}

// unreachable says why there was no answer, and what to do about it.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("ask slapd: %w", context.Cause(ctx))
	}
	if call, ok := errors.AsType[*url.Error](err); ok {
		err = call.Err // its text repeats an address that nobody typed
	}
	var dial *net.OpError
	if !errors.As(err, &dial) || dial.Op != "dial" {
		return protocol.Errorf(protocol.ErrUnavailable, "connection to slapd was lost: %v; ask again", err)
	}
	switch at := cmp.Or(c.cfg.Socket, c.cfg.Address); {
	case c.cfg.Socket == "":
		return protocol.Errorf(protocol.ErrUnavailable, "no answer from slapd at %s: %v", at, dial.Err)
	case errors.Is(err, fs.ErrPermission):
		return protocol.Errorf(protocol.ErrForbidden, "slapd at %s runs as another user: ask as that user, or with --peer and a token", at)
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED):
		return protocol.Errorf(protocol.ErrUnavailable, "no slapd at %s: start it with \"slapd run\", or \"slapd init\" the first time", at)
	default:
		return protocol.Errorf(protocol.ErrUnavailable, "no answer from slapd at %s: %v", at, dial.Err)
	}
}

// path joins the parts of a path, each as it is.
func path(parts ...string) string {
	var p strings.Builder
	p.WriteString("/v1")
	for _, part := range parts {
		p.WriteString("/" + url.PathEscape(part))
	}
	return p.String()
}

// request makes a request; in, if not nil, is its JSON body.
func (c *Client) request(ctx context.Context, method, at string, query url.Values, in any) (*http.Request, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, protocol.Errorf(protocol.ErrInvalid, "%s %s: %v", method, at, err)
		}
		body = bytes.NewReader(data)
	}
	if len(query) > 0 {
		at += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+cmp.Or(c.cfg.Address, "localhost")+at, body)
	if err != nil {
		return nil, protocol.Errorf(protocol.ErrInvalid, "ask slapd: %v", err)
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	switch {
	case c.cfg.Authorization != "":
		r.Header.Set("Authorization", c.cfg.Authorization)
	case c.cfg.Token != "":
		r.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	return r, nil
}

// send sends a request and returns an answer that is not a refusal.
func (c *Client) send(r *http.Request) (*http.Response, error) {
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, c.unreachable(r.Context(), err)
	}
	if answer.StatusCode >= http.StatusBadRequest {
		defer answer.Body.Close() //nolint:errcheck // read only
		return nil, refusal(answer)
	}
	return answer, nil
}

// maxAnswer bounds an answer that is read whole.
const maxAnswer = 64 << 20

// call sends in and reads the answer into out; either may be nil.
func (c *Client) call(ctx context.Context, method, at string, query url.Values, in, out any) error {
	r, err := c.request(ctx, method, at, query, in)
	if err != nil {
		return err
	}
	answer, err := c.send(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("ask slapd: %s %s: answer: %w", method, at, err)
	}
	return nil
}

// refusal reads the problem of an answer.
func refusal(answer *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err == nil && kind == protocol.ProblemType {
		var p protocol.Problem
		if json.Unmarshal(body, &p) == nil {
			return p.Err()
		}
	}
	return fmt.Errorf("ask slapd: unexpected answer %s: is it a slapd that listens there?", answer.Status)
}
