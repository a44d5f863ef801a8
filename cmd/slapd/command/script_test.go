package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/slapmesh/slapmesh/cmd/slapd/command"
	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/protocoltest"
	"github.com/slapmesh/slapmesh/protocol/rest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"slapd": func() {
			os.Exit(command.Main(context.Background(), config(os.Stdin, os.Stdout, os.Stderr), os.Args[1:]))
		},
	})
}

// config is a slapd whose peers only say how they were to run. Its time is that
// of the mesh in protocoltest.
func config(in io.Reader, out, complaint io.Writer) command.Config {
	return command.Config{
		In: in, Out: out, Err: complaint, Env: os.Getenv, Version: "1.2.3",
		Terminal: os.Getenv("TERMINAL") != "",
		Now:      func() time.Time { return time.Date(2026, 11, 22, 12, 10, 0, 0, time.UTC) },
		Peer:     saying{out},
		Profiles: folders{},
	}
}

// folders are profiles of which only the name is read.
type folders struct{ command.Profiles }

func (folders) Bundle(folder string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(folder, "release.star"))
	return bytes.TrimSpace(data), err // the mesh takes it for a name
}

// saying is a Peer that prints its options.
type saying struct{ out io.Writer }

func (s saying) Init(ctx context.Context, opt command.InitOptions) error {
	s.say(ctx, "init", opt.RunOptions, opt.Mesh, opt.Open, opt.EnrollOnly)
	opt.Ready(command.Ready{
		Status:     protocol.Status{PeerID: "peer1", Name: "castle", Mesh: "home", MeshID: "abcd", Listen: ":7527", API: "127.0.0.1:7528"},
		Socket:     "slapd.sock",
		Invitation: &protocol.Token{Expires: time.Date(2026, 11, 22, 13, 10, 0, 0, time.UTC)},
		Join:       "slapd join 192.0.2.1:7527 --token slapd1-secret",
	})
	return nil
}

func (s saying) Join(ctx context.Context, opt command.JoinOptions) error {
	s.say(ctx, "join", opt.RunOptions, opt.Address, opt.Token, opt.EnrollOnly)
	if opt.Token == "slapd1-wrong" {
		return errors.New("join 192.0.2.1:7527: token is used up: ask for another with \"slapd token create\"")
	}
	return nil
}

func (s saying) Run(ctx context.Context, opt command.RunOptions) error {
	s.say(ctx, "run", opt)
	return nil
}

func (s saying) Demo(_ context.Context, opt command.DemoOptions) error {
	_, err := fmt.Fprintln(s.out, "demo", opt.Peers, opt.Keep, opt.Dir)
	return err
}

func (s saying) say(ctx context.Context, verb string, opt command.RunOptions, more ...any) {
	if os.Getenv("QUIET") != "" {
		return
	}
	partitions := "-"
	if opt.Partitions != nil {
		partitions = strconv.Itoa(*opt.Partitions)
	}
	labels, _ := json.Marshal(opt.Labels)
	fmt.Fprintf(s.out, "%s dir=%s name=%s listen=%s api=%s advertise=%q partitions=%s labels=%s debug=%v %v\n",
		verb, filepath.Base(opt.Dir), opt.Name, opt.Listen, opt.API, opt.Advertise, partitions, labels,
		opt.Log.Enabled(ctx, slog.LevelDebug), more)
}

// TestScript runs every session in testdata/script against a mesh in memory.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: serve,
		Cmds:  map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs a program and checks its exit code, as in "exits 3 slapd list".
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGUMENT]…")
	}
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		code = failed.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if want := args[0]; strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, want %s", code, want)
	}
}

// serve starts a mesh for one session: the control socket speaks for an
// operator, the local API for Bob, who is none.
func serve(env *testscript.Env) error {
	mesh := protocoltest.New()
	server := rest.New(rest.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	dir, err := os.MkdirTemp("", "s") // the path of a socket is short
	if err != nil {
		cancel()
		return err
	}
	door := rest.Door{Authenticate: func(r *http.Request) (protocol.Service, error) {
		token, err := rest.BearerToken(r)
		if err == nil && token != "bobs" {
			err = protocol.Errorf(protocol.ErrUnauthorized, "token is unknown, used or expired: ask for another")
		}
		return mesh.As("bob", false), err
	}}
	control := rest.Door{AnyHost: true, Authenticate: func(*http.Request) (protocol.Service, error) { return mesh.As("ann", true), nil }}
	api, err := listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		cancel()
		return err
	}
	socket, err := listen(ctx, "unix", filepath.Join(dir, "slapd.sock"))
	if err != nil {
		cancel()
		return err
	}
	done := make(chan error, 2)
	go func() { done <- server.Serve(ctx, socket, control) }()
	go func() { done <- server.Serve(ctx, api, door) }()
	env.Vars = append(env.Vars, "SLAPD_DIR="+dir, "API="+api.Addr().String(), "GORACE=atexit_sleep_ms=0")
	env.Defer(func() {
		cancel()
		if err := errors.Join(<-done, <-done, os.RemoveAll(dir)); err != nil {
			panic(err)
		}
	})
	return nil
}

func listen(ctx context.Context, network, address string) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, network, address)
}
