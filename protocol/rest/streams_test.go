package rest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/protocoltest"
	"github.com/slapmesh/slapmesh/protocol/rest"
)

// pipes is a listener without sockets, for time that the test owns.
type pipes struct {
	t     *testing.T // of the bubble
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes(t *testing.T) *pipes {
	t.Helper()
	return &pipes{t: t, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// dial opens a connection and writes to it.
func (p *pipes) dial(request string) net.Conn {
	p.t.Helper()
	ours, theirs := net.Pipe()
	p.conns <- theirs
	if _, err := io.WriteString(ours, request); err != nil {
		p.t.Error(err)
	}
	return ours
}

// serving runs f against a server whose clock is the test's.
func serving(t *testing.T, s protocol.Service, f func(p *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := newPipes(t)
		done := make(chan error)
		go func() { done <- rest.New(rest.Config{}).Serve(ctx, p, door(s)) }()
		f(p)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestWatchShowsThatItLives(t *testing.T) {
	mesh := protocoltest.New()
	ann := mesh.As("ann", false)
	serving(t, ann, func(p *pipes) {
		t := p.t
		if _, err := ann.Request(t.Context(), protocol.RequestInput{Reference: "db1", Release: "slow"}); err != nil {
			t.Fatal(err)
		}
		conn := p.dial("GET /v1/instances/db1?watch HTTP/1.1\r\nHost: x\r\n\r\n")
		start := time.Now()
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close() //nolint:errcheck // a pipe
		defer conn.Close()        //nolint:errcheck // first: the body has no end
		if got := answer.Header.Get("Content-Type"); got != "text/event-stream" {
			t.Errorf("content type %q", got)
		}
		lines := bufio.NewScanner(answer.Body)
		var states []string
		for lines.Scan() && lines.Text() != ": alive" {
			if data, ok := strings.CutPrefix(lines.Text(), `data: {`); ok {
				_, rest, _ := strings.Cut(data, `"state":"`)
				state, _, _ := strings.Cut(rest, `"`)
				states = append(states, state)
			}
		}
		if got := strings.Join(states, " "); got != "waiting building" {
			t.Errorf("states %s", got)
		}
		if got := time.Since(start); got != 15*time.Second {
			t.Errorf("first sign of life after %v", got)
		}
	})
}

// A caller that stops sending its body does not hold a handler for ever, and a
// call that takes long is not ended by the deadline of its body.
func TestDeadlines(t *testing.T) {
	slow := &slowService{Service: protocoltest.New().As("ann", true)}
	serving(t, slow, func(p *pipes) {
		t := p.t
		conn := p.dial("POST /v1/instances HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
		start := time.Now()
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		_ = conn.Close()
		if answer.StatusCode != http.StatusRequestTimeout || time.Since(start) != 30*time.Second {
			t.Errorf("%s after %v", answer.Status, time.Since(start))
		}

		body := `{"reference":"db1","release":"mariadb"}`
		conn = p.dial(fmt.Sprintf("POST /v1/instances HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		start = time.Now()
		if answer, err = http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		_ = conn.Close()
		if answer.StatusCode != http.StatusAccepted || time.Since(start) != 10*time.Minute {
			t.Errorf("%s after %v", answer.Status, time.Since(start))
		}
	})
}

// slowService takes ten minutes to decide.
type slowService struct{ protocol.Service }

func (s *slowService) Request(ctx context.Context, in protocol.RequestInput) (protocol.Instance, error) {
	select {
	case <-time.After(10 * time.Minute):
		return s.Service.Request(ctx, in)
	case <-ctx.Done():
		return protocol.Instance{}, ctx.Err()
	}
}

// A reader that does not read is let go, and so is a watch of a server that
// stops.
func TestStuckReader(t *testing.T) {
	ann := protocoltest.New().As("ann", false)
	serving(t, ann, func(p *pipes) {
		t := p.t
		if _, err := ann.Request(t.Context(), protocol.RequestInput{Reference: "db1", Release: "slow"}); err != nil {
			t.Fatal(err)
		}
		conn := p.dial("GET /v1/instances/db1/logs?follow HTTP/1.1\r\nHost: x\r\n\r\n")
		time.Sleep(time.Minute)
		synctest.Wait() // the handler has given up by now, or the bubble would not end
		_ = conn.Close()
	})
}

// A program whose caller is gone is stopped, even when it neither reads nor
// writes.
func TestExecPing(t *testing.T) {
	ann := protocoltest.New().As("ann", false)
	serving(t, ann, func(p *pipes) {
		t := p.t
		if _, err := ann.Request(t.Context(), protocol.RequestInput{Reference: "db1", Release: "slow"}); err != nil {
			t.Fatal(err)
		}
		conn := p.dial("POST /v1/instances/db1/exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: " + protocol.ExecProtocol + "\r\n\r\n")
		in := bufio.NewReader(conn)
		answer, err := http.ReadResponse(in, nil)
		if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(answer, err)
		}
		_ = answer.Body.Close()
		if err := protocol.NewFrameWriter(conn).Write(protocol.FrameStart, []byte(`{"argv":["sleep"]}`)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		f, err := protocol.ReadFrame(in)
		if err != nil || f.Kind != protocol.FramePing || time.Since(start) != 15*time.Second {
			t.Errorf("%+v %v after %v", f, err, time.Since(start))
		}
		time.Sleep(time.Minute) // nobody reads the next ping
		synctest.Wait()
		_ = conn.Close()
	})
}

// What the caller sends instead of frames does no harm.
func TestExecGarbage(t *testing.T) {
	for _, tc := range []struct{ name, bytes, want string }{
		{"nothing", "", "exec"},
		{"noise", "\xff\xfe\xfd\xfc\xfb\xfa", "unknown kind 255"},
		{"too long", "\x01\xff\xff\xff\xff", "more than"},
		{"no program", "\x01\x00\x00\x00\x02{}", "no program named"},
		{"no JSON", "\x01\x00\x00\x00\x02}{", "invalid character"},
		{"other frame", "\x02\x00\x00\x00\x00", "kind 2 where the program was expected"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ann := protocoltest.New().As("ann", false)
			serving(t, ann, func(p *pipes) {
				t := p.t
				if _, err := ann.Request(t.Context(), protocol.RequestInput{Reference: "db1", Release: "slow"}); err != nil {
					t.Fatal(err)
				}
				conn := p.dial("POST /v1/instances/db1/exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: " + protocol.ExecProtocol + "\r\n\r\n")
				defer conn.Close() //nolint:errcheck // a pipe
				in := bufio.NewReader(conn)
				answer, err := http.ReadResponse(in, nil)
				if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
					t.Fatal(answer, err)
				}
				_ = answer.Body.Close()
				if tc.bytes == "" {
					return // closes
				}
				if _, err := io.WriteString(conn, tc.bytes); err != nil {
					t.Fatal(err)
				}
				f, err := protocol.ReadFrame(in)
				if err != nil || f.Kind != protocol.FrameError || !strings.Contains(string(f.Data), tc.want) {
					t.Errorf("%d %s %v", f.Kind, f.Data, err)
				}
			})
		})
	}
}

// A server that stops lets a call finish that is being decided, and ends one
// that only waits.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := newPipes(t)
		service := &deliberate{Service: protocoltest.New().As("ann", true)}
		done := make(chan error)
		go func() { done <- rest.New(rest.Config{}).Serve(ctx, p, door(service)) }()

		post := func(path, body string) net.Conn {
			return p.dial(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body))
		}
		waiting := post("/v1/instances?wait=1h", `{"reference":"a","release":"slow"}`)
		watching := p.dial("GET /v1/instances?watch HTTP/1.1\r\nHost: x\r\n\r\n")
		go func() { _, _ = io.Copy(io.Discard, watching) }()
		time.Sleep(2 * time.Second) // the first has been decided
		deciding := post("/v1/instances", `{"reference":"b","release":"mariadb"}`)
		synctest.Wait()
		cancel()
		for _, conn := range []net.Conn{waiting, deciding} {
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusAccepted {
				t.Error(answer.Status)
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, conn := range []net.Conn{waiting, watching, deciding} {
			_ = conn.Close()
		}
	})
}

// deliberate takes a second to decide.
type deliberate struct{ protocol.Service }

func (d *deliberate) Request(ctx context.Context, in protocol.RequestInput) (protocol.Instance, error) {
	select {
	case <-time.After(time.Second):
		return d.Service.Request(ctx, in)
	case <-ctx.Done():
		return protocol.Instance{}, ctx.Err()
	}
}
