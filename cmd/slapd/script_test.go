package main_test

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/slapmesh/slapmesh/protocol"
)

// Sessions at the command line with real peers. Besides the commands of
// testscript there are:
//
//	start NAME VERB [ARG]…     run a peer in folder NAME and wait until it is up
//	crash NAME                 kill -9 it
//	ended NAME [CODE]          wait until it is gone, with exit code 0 or the given one
//	letfile VAR FILE           keep what a file holds
//	let VAR ARG…               keep what slapd ARG… prints; of a token, the token itself
//	await PATTERN ARG…         run slapd ARG… until it prints what matches
//	busy VAR udp|tcp           take a port of the loopback
//
// Of a peer that is up, $NAME_listen, $NAME_api and $NAME_id are set.
func TestScripts(t *testing.T) {
	t.Parallel()
	dir := filepath.Dir(slapd(t))
	testscript.Run(t, testscript.Params{
		Dir:         "testdata",
		WorkdirRoot: scratch,
		Setup: func(e *testscript.Env) error {
			if err := os.Chmod(filepath.Dir(e.WorkDir), 0o711); err != nil {
				return err
			}
			w := &world{TB: e.T().(testing.TB), net: here, dir: e.WorkDir}
			e.Defer(w.close)
			e.Values[worldKey{}] = w
			e.Setenv("PATH", dir+":"+e.Getenv("PATH"))
			e.Setenv("SLAPD_DIR", "a")
			for _, v := range w.command().Env {
				if name, value, _ := strings.Cut(v, "="); name == "SLAPD_CACHE" {
					e.Setenv(name, value)
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": scriptStart, "crash": scriptCrash, "ended": scriptEnded,
			"letfile": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
			},
			"let": scriptLet, "await": scriptAwait, "busy": scriptBusy,
		},
	})
}

type worldKey struct{}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

func peerOf(ts *testscript.TestScript, name string) *peer {
	for _, p := range worldOf(ts).peers {
		if p.name == name {
			return p
		}
	}
	ts.Fatalf("no peer %s", name)
	return nil
}

func scriptStart(ts *testscript.TestScript, _ bool, args []string) {
	p := worldOf(ts).start(args[0], args[1:]...).up()
	ts.Setenv(p.name+"_listen", p.status.Listen)
	ts.Setenv(p.name+"_api", p.status.API)
	ts.Setenv(p.name+"_id", p.status.PeerID)
}

func scriptCrash(ts *testscript.TestScript, _ bool, args []string) { peerOf(ts, args[0]).kill() }

func scriptEnded(ts *testscript.TestScript, _ bool, args []string) {
	want := "0"
	if len(args) > 1 {
		want = args[1]
	}
	if code := peerOf(ts, args[0]).ended(); strconv.Itoa(code) != want {
		ts.Fatalf("%s ended with exit code %d", args[0], code)
	}
}

func scriptLet(ts *testscript.TestScript, _ bool, args []string) {
	r := worldOf(ts).slapd(append([]string{"--dir", filepath.Join(worldOf(ts).dir, "a")}, args[1:]...)...)
	if r.code != 0 {
		ts.Fatalf("exit code %d: %s", r.code, r.complaint)
	}
	token := regexp.MustCompile("slapd1-[a-z0-9]+").FindString(r.out)
	ts.Setenv(args[0], cmp.Or(token, strings.TrimSpace(r.out)))
}

func scriptAwait(ts *testscript.TestScript, _ bool, args []string) {
	w, pattern := worldOf(ts), regexp.MustCompile("(?m)"+args[0])
	if args[1] != "--dir" {
		args = append([]string{args[0], "--dir", "a"}, args[1:]...)
	}
	w.until("slapd prints "+args[0], func() error {
		if r := w.slapd(args[1:]...); !pattern.MatchString(r.out + r.complaint) {
			return fmt.Errorf("it prints %s%s", r.out, r.complaint)
		}
		return nil
	})
}

func scriptBusy(ts *testscript.TestScript, _ bool, args []string) {
	var address net.Addr
	if args[1] == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0") //nolint:noctx // at once
		ts.Check(err)
		ts.Defer(func() { _ = c.Close() })
		address = c.LocalAddr()
	} else {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
		ts.Check(err)
		ts.Defer(func() { _ = l.Close() })
		address = l.Addr()
	}
	_, port, err := net.SplitHostPort(address.String())
	ts.Check(err)
	ts.Setenv(args[0], port)
}

// A peer that reaches no majority refuses at once, says what still works, and
// answers from what it knows; when the others are back it goes on.
func TestWithoutMajority(t *testing.T) {
	t.Parallel()
	w := newWorld(t, here)
	peers := w.mesh("5", "a", "b", "c")
	if _, err := peers[0].stopped(0); err != nil {
		t.Fatal(err)
	}
	peers[1].kill()
	peers[2].kill()
	a := peers[0]
	a.await("without a majority", func(s protocol.Status) bool { return !s.Quorum && s.Stale })
	w.until("it refuses", func() error {
		_, err := a.Request(t.Context(), protocol.RequestInput{Reference: "r1", Release: "memcached", State: protocol.RequestStopped})
		if !errors.Is(err, protocol.ErrUnavailable) {
			t.Fatalf("request: %v", err)
		}
		if !strings.Contains(err.Error(), "no majority") {
			return err
		}
		return nil
	})
	r := a.slapd("request", "memcached", "r2", "--state", "stopped")
	if want := "slapd request: "; r.code != 1 || !strings.HasPrefix(r.complaint, want) || !strings.Contains(r.complaint, "no majority of the voters") {
		t.Errorf("exit code %d: %s", r.code, r.complaint)
	}
	if r := a.slapd("list"); r.code != 0 || !strings.Contains(r.out, "r0") || strings.Contains(r.out, "r1") {
		t.Errorf("list: exit code %d: %s%s", r.code, r.out, r.complaint)
	}
	if r := a.slapd("status"); r.code != 0 || !strings.Contains(r.out, "nothing new can be decided. What runs goes on running") {
		t.Errorf("status: exit code %d: %s%s", r.code, r.out, r.complaint)
	}
	w.start("b", "run")
	a.up()
	if _, err := a.stopped(1); err != nil {
		t.Error(err)
	}
}
