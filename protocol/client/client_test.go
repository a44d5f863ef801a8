package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/client"
	"github.com/slapmesh/slapmesh/protocol/protocoltest"
	"github.com/slapmesh/slapmesh/protocol/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	c, err := client.New(client.Config{Socket: "/var/lib/nobody/slapd.sock"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close() //nolint:errcheck // idle connections
	_, err = c.Status(context.Background())
	fmt.Println(errors.Is(err, protocol.ErrUnavailable), err)
	// Output: true no slapd at /var/lib/nobody/slapd.sock: start it with "slapd run", or "slapd init" the first time
}

// serve serves a Service on a Unix socket and returns a client of it.
func serve(t *testing.T, s protocol.Service) *client.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- rest.New(rest.Config{}).Serve(ctx, l, rest.Door{
			AnyHost: true,
			Authenticate: func(r *http.Request) (protocol.Service, error) {
				if uid, ok := rest.PeerUID(r); !ok || int(uid) != os.Getuid() {
					return nil, protocol.Errorf(protocol.ErrUnauthorized, "uid %d is not %d", uid, os.Getuid())
				}
				return s, nil
			},
		})
	}()
	c, err := client.New(client.Config{Socket: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

// TestService runs every call through client, socket and server.
func TestService(t *testing.T) {
	mesh := protocoltest.New()
	c := serve(t, mesh.As("ann", true))
	ctx := t.Context()

	for _, tc := range []struct {
		name string
		call func() error
		code protocol.Code
	}{
		{"status", func() error { s, err := c.Status(ctx); return same(err, s.Mesh, "home") }, ""},
		{"members", func() error { m, err := c.Members(ctx); return same(err, m[0].Name, "castle") }, ""},
		{"role", func() error {
			m, err := c.SetRole(ctx, "peer1", protocol.RoleComputer)
			return same(err, string(m.Role), "computer")
		}, ""},
		{"role of nobody", func() error { _, err := c.SetRole(ctx, "peer9", protocol.RoleVoter); return err }, protocol.ErrNotFound},
		{"role of no kind", func() error { _, err := c.SetRole(ctx, "peer1", "king"); return err }, protocol.ErrInvalid},
		{"remove", func() error { return c.RemoveMember(ctx, "peer1") }, ""},
		{"computers", func() error { v, err := c.Computers(ctx); return same(err, v[0].Owner, "operator") }, ""},
		{"releases", func() error { v, err := c.Releases(ctx); return same(err, v[1].Name, "mariadb") }, ""},
		{"publish", func() error {
			v, err := c.Publish(ctx, protocol.PublishInput{Profile: []byte("slow")})
			return same(err, v.Name, "slow")
		}, ""},
		{"publish the largest", func() error {
			_, err := c.Publish(ctx, protocol.PublishInput{Profile: make([]byte, protocol.MaxProfile)})
			return err
		}, protocol.ErrNotFound},
		{"publish too much", func() error {
			_, err := c.Publish(ctx, protocol.PublishInput{Profile: make([]byte, protocol.MaxProfile+3)})
			return err
		}, protocol.ErrInvalid},
		{"supply", func() error {
			v, err := c.Supply(ctx, protocol.SupplyInput{Release: "slow"})
			return same(err, string(v.RequestedState), "available")
		}, ""},
		{"supply to nobody", func() error {
			_, err := c.Supply(ctx, protocol.SupplyInput{Release: "slow", Computer: "x"})
			return err
		}, protocol.ErrNotFound},
		{"supplies", func() error { v, err := c.Supplies(ctx); return same(err, v[0].Release, "slow") }, ""},
		{"token", func() error {
			v, err := c.CreateToken(ctx, protocol.TokenInput{Role: protocol.RoleUser})
			return same(err, v.Token, "slapd1-secret")
		}, ""},
		{"tokens", func() error { v, err := c.Tokens(ctx); return same(err, v[0].ID+v[0].Token, "t1") }, ""},
		{"revoke", func() error { return c.RevokeToken(ctx, "t1") }, ""},
		{"revoke nothing", func() error { return c.RevokeToken(ctx, "t/9") }, protocol.ErrNotFound},
		{"request", func() error {
			v, err := c.Request(ctx, protocol.RequestInput{Reference: "a/b ?", Release: "mariadb"})
			return same(err, v.Partition, "p0")
		}, ""},
		{"show", func() error {
			v, err := c.Instance(ctx, protocol.Ref{Reference: "a/b ?", Account: "ann"})
			return same(err, v.Events[0].Kind, "requested")
		}, ""},
		{"show nothing", func() error { _, err := c.Instance(ctx, protocol.Ref{Reference: "x"}); return err }, protocol.ErrNotFound},
		{"list", func() error {
			v, err := c.Instances(ctx, protocol.InstanceQuery{All: true})
			return same(err, v[0].Reference, "a/b ?")
		}, ""},
		{"no room", func() error {
			_, err := c.Request(ctx, protocol.RequestInput{Reference: "c", Release: "mariadb", Filter: map[string]string{"country": "XX"}})
			return err
		}, protocol.ErrExhausted},
		{"leave, occupied", func() error { return c.Leave(ctx, protocol.LeaveInput{}) }, protocol.ErrConflict},
		{"stop", func() error {
			v, err := c.SetState(ctx, protocol.Ref{Reference: "a/b ?"}, protocol.RequestStopped)
			return same(err, string(v.RequestedState), "stopped")
		}, ""},
		{"leave", func() error { return c.Leave(ctx, protocol.LeaveInput{Force: true}) }, ""},
	} {
		err := tc.call()
		if (err == nil) != (tc.code == "") || protocol.CodeOf(err) != tc.code {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.code)
		}
		if _, ok := errors.AsType[*protocol.Error](err); tc.code != "" && !ok {
			t.Errorf("%s: %T is no *protocol.Error", tc.name, err)
		}
	}
	if !mesh.Left() {
		t.Error("the peer did not leave")
	}
}

func same(err error, got, want string) error {
	if err == nil && got != want {
		return errors.New("got " + got + ", want " + want)
	}
	return err
}

func TestWait(t *testing.T) {
	c := serve(t, protocoltest.New().As("ann", true))
	for _, tc := range []struct {
		release, states string
		code            protocol.Code
	}{
		{"mariadb", "waiting building starting started", ""},
		{"broken", "waiting building error", protocol.ErrConflict},
	} {
		ref := protocol.Ref{Reference: tc.release}
		if _, err := c.Request(t.Context(), protocol.RequestInput{Reference: tc.release, Release: tc.release}); err != nil {
			t.Fatal(err)
		}
		var states []string
		i, err := protocol.Wait(t.Context(), c, ref, func(i protocol.Instance) { states = append(states, string(i.State)) })
		if protocol.CodeOf(err) != tc.code || strings.Join(states, " ") != tc.states {
			t.Errorf("%s: %v %v", tc.release, states, err)
		}
		if err == nil && i.Connection["url"] == "" {
			t.Errorf("%s: no connection: %+v", tc.release, i)
		}
	}
	if _, err := protocol.Wait(t.Context(), c, protocol.Ref{Reference: "nobody"}, nil); protocol.CodeOf(err) != protocol.ErrNotFound {
		t.Error(err)
	}
	if _, err := c.Request(t.Context(), protocol.RequestInput{Reference: "slow", Release: "slow"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if i, err := protocol.Wait(ctx, c, protocol.Ref{Reference: "slow"}, nil); !errors.Is(err, context.DeadlineExceeded) || i.State != "building" {
		t.Error(i.State, err)
	}
}

func TestWatchAll(t *testing.T) {
	c := serve(t, protocoltest.New().As("ann", true))
	if _, err := c.Request(t.Context(), protocol.RequestInput{Reference: "db1", Release: "mariadb"}); err != nil {
		t.Fatal(err)
	}
	var seen []string
	for i, err := range c.Watch(t.Context(), protocol.InstanceQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen = append(seen, i.Reference+" "+string(i.State)); i.State == protocol.StateStarted {
			break
		}
	}
	if got := strings.Join(seen, ", "); got != "db1 waiting, db1 building, db1 starting, db1 started" {
		t.Error(got)
	}
}

func TestUnreachable(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	silent, other := net.Pipe()
	_ = other.Close()
	for _, tc := range []struct {
		name string
		cfg  client.Config
		want string
	}{
		{"missing", client.Config{Socket: filepath.Join(dir, "none")}, `start it with "slapd run"`},
		{"dead", client.Config{Socket: dead}, `start it with "slapd run"`},
		{"refused", client.Config{Address: "127.0.0.1:1"}, "no answer from slapd at 127.0.0.1:1"},
		{"cut", client.Config{Dial: func(context.Context) (net.Conn, error) { return silent, nil }}, "connection to slapd was lost"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := client.New(tc.cfg)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Status(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.want) || protocol.CodeOf(err) != protocol.ErrUnavailable || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want …%s…", err, tc.want)
			}
		})
	}
	if _, err := client.New(client.Config{}); err == nil {
		t.Error("a client of nobody")
	}
}

// What listens there may be no slapd.
func TestStranger(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second}
	done := make(chan struct{})
	go func() { _ = server.Serve(l); close(done) }()
	defer func() { _ = server.Close(); <-done }()
	c, err := client.New(client.Config{Address: l.Addr().String(), Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // idle connections
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "is it a slapd") {
		t.Error(err)
	}
}
