package main_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/partition/build/buildtest"
	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/client"
)

// patience bounds every wait. It is long, for computers that have much else
// to do; what is waited for is watched, so it costs nothing.
const patience = 90 * time.Second

// A world is the peers of one test and the folder that they are in.
type world struct {
	testing.TB
	net   *network
	dir   string
	cache string // of downloaded packages; "" is the one that all tests share
	peers []*peer
}

// newWorld makes a folder for peers. They are ended, and all that they left
// is removed, when the test is over.
func newWorld(tb testing.TB, n *network) *world {
	tb.Helper()
	slapd(tb)
	dir, err := os.MkdirTemp(scratch, "w") //nolint:usetesting // below scratch, which marks what is ours
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		tb.Fatal(err)
	}
	w := &world{TB: tb, net: n, dir: dir}
	tb.Cleanup(w.close)
	return w
}

func (w *world) close() {
	for _, p := range w.peers {
		if w.Failed() {
			w.Logf("%s ended its log with\n%s", p.name, p.lastWords(40))
		}
		_ = p.Close()
	}
	w.until("processes are gone", func() error {
		sweep(w.dir)
		if left := processesOf(w.dir); len(left) > 0 {
			return fmt.Errorf("still there: %v", left)
		}
		return nil
	})
	if err := os.RemoveAll(w.dir); err != nil {
		w.Error(err)
	}
}

// until calls ok again and again until it returns nil.
func (w *world) until(what string, ok func() error) {
	w.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			w.Fatalf("%s: not within %v: %v", what, patience, err)
		}
	}
}

// A peer is a slapd that runs.
type peer struct {
	*client.Client
	w      *world
	net    *network
	name   string
	dir    string
	log    string
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process is gone

	status protocol.Status // as it was when the peer had come up
}

// start runs slapd with a verb and its flags, in a folder of the name. It
// does not wait for it.
func (w *world) start(name string, args ...string) *peer {
	w.Helper()
	return w.startIn(w.net, name, args...)
}

func (w *world) startIn(n *network, name string, args ...string) *peer {
	w.Helper()
	p := &peer{
		w: w, net: n, name: name, dir: filepath.Join(w.dir, name), log: filepath.Join(w.dir, name+".log"),
		exited: make(chan struct{}),
	}
	args = append(args, "--dir", p.dir)
	for flag, value := range map[string]string{"--name": name, "--listen": "127.0.0.1:0", "--api": "127.0.0.1:0"} {
		if !slices.Contains(args, flag) {
			args = append(args, flag, value)
		}
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the process has it
	p.cmd = w.command(args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := n.do(p.cmd.Start); err != nil {
		w.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait()
	}()
	if p.Client, err = client.New(client.Config{Socket: filepath.Join(p.dir, "slapd.sock")}); err != nil {
		w.Fatal(err)
	}
	w.peers = slices.DeleteFunc(w.peers, func(o *peer) bool { return o.name == name })
	w.peers = append(w.peers, p)
	return p
}

// command is slapd as these tests run it: packages are downloaded once for
// all tests of a user.
func (w *world) command(args ...string) *exec.Cmd {
	cmd := exec.Command(slapd(w), args...) //nolint:noctx // ended step by step
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "SLAPD_CACHE="+cmp.Or(w.cache, filepath.Join(buildtest.Dir(w), "build")), "SLAPD_DIR=", "SLAPD_PEER=", "SLAPD_TOKEN=")
	return cmd
}

// up waits until the peer has its part in the mesh.
func (p *peer) up() *peer {
	p.w.Helper()
	p.status = p.await("up", func(s protocol.Status) bool { return s.Quorum && s.Account != "" && s.Leader != "" })
	return p
}

// await asks for the status until ok accepts it.
func (p *peer) await(what string, ok func(protocol.Status) bool) (s protocol.Status) {
	p.w.Helper()
	p.w.until(p.name+" is "+what, func() (err error) {
		select {
		case <-p.exited:
			p.w.Fatalf("%s ended: %s", p.name, p.lastWords(3))
		default:
		}
		if s, err = p.Status(p.w.Context()); err == nil && !ok(s) {
			return fmt.Errorf("status %+v", s)
		}
		return err
	})
	return s
}

func (p *peer) lastWords(lines int) string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// kill ends the peer without a word of warning.
func (p *peer) kill() { p.end(syscall.SIGKILL) }

// stop ends the peer gently.
func (p *peer) stop() { p.end(syscall.SIGTERM) }

func (p *peer) end(signal syscall.Signal) {
	p.w.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.w.Fatal(err)
	}
	p.ended()
}

// ended waits until the process is gone, and returns its exit code.
func (p *peer) ended() int {
	p.w.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.w.Fatalf("%s does not end", p.name)
	}
	return p.cmd.ProcessState.ExitCode()
}

// token makes a token for peers.
func (p *peer) token(in protocol.TokenInput) string {
	p.w.Helper()
	t, err := p.CreateToken(p.w.Context(), in)
	if err != nil {
		p.w.Fatal(err)
	}
	return t.Token
}

// request asks for an instance and waits until it is as asked.
func (p *peer) request(in protocol.RequestInput) protocol.Instance {
	p.w.Helper()
	p.ask(in)
	return p.settled(in.Reference)
}

// ask asks for an instance. Who has no leader at the moment says so, and is
// asked again.
func (p *peer) ask(in protocol.RequestInput) (i protocol.Instance) {
	p.w.Helper()
	p.w.until("ask "+p.name+" for "+in.Reference, func() (err error) {
		if i, err = p.Request(p.w.Context(), in); err != nil && !errors.Is(err, protocol.ErrUnavailable) {
			p.w.Fatalf("request %s of %s: %v", in.Reference, p.name, err)
		}
		return err
	})
	return i
}

// settled waits until an instance is as requested.
func (p *peer) settled(reference string) protocol.Instance {
	p.w.Helper()
	ctx, cancel := context.WithTimeout(p.w.Context(), 5*time.Minute) // it may be downloaded
	defer cancel()
	i, err := protocol.Wait(ctx, p, protocol.Ref{Reference: reference}, nil)
	if err != nil {
		p.w.Fatalf("%s: %v (state %s: %s)", reference, err, i.State, i.Reason)
	}
	return i
}

// set asks for another state of an instance and waits for it.
func (p *peer) set(reference string, state protocol.RequestedState) protocol.Instance {
	p.w.Helper()
	if _, err := p.SetState(p.w.Context(), protocol.Ref{Reference: reference}, state); err != nil {
		p.w.Fatal(err)
	}
	if state == protocol.RequestDestroyed {
		p.w.until("destroy "+reference, func() error {
			i, err := p.Instance(p.w.Context(), protocol.Ref{Reference: reference})
			if errors.Is(err, protocol.ErrNotFound) || err == nil && i.State == protocol.StateDestroyed {
				return nil
			}
			return fmt.Errorf("state %s: %s: %w", i.State, i.Reason, err)
		})
		return protocol.Instance{}
	}
	return p.settled(reference)
}

// A result is what a command line said.
type result struct {
	out, complaint string
	code           int
}

// slapd runs a command line about the peer.
func (p *peer) slapd(args ...string) result {
	p.w.Helper()
	return p.w.slapd(append(args, "--dir", p.dir)...)
}

// slapd runs a command line until it ends.
func (w *world) slapd(args ...string) result {
	w.Helper()
	return w.finish(w.command(args...))
}

// finish runs a command until it ends.
func (w *world) finish(cmd *exec.Cmd) (r result) {
	w.Helper()
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := w.net.do(cmd.Start); err != nil {
		w.Fatal(err)
	}
	kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	_ = cmd.Wait()
	return result{out.String(), complaint.String(), cmd.ProcessState.ExitCode()}
}

// mesh founds a mesh whose peers vote, and waits until all of them are up
// and known to each other as computers.
func (w *world) mesh(partitions string, names ...string) []*peer {
	w.Helper()
	first := w.start(names[0], "init", "--partitions", partitions).up()
	all := []*peer{first}
	if len(names) > 1 {
		token := first.token(protocol.TokenInput{Uses: len(names) - 1})
		for _, name := range names[1:] {
			all = append(all, w.start(name, "join", first.status.Listen, "--token", token, "--partitions", partitions))
		}
	}
	for _, p := range all {
		p.up()
		p.sees(len(all))
	}
	return all
}

// sees waits until the peer knows so many computers, and voters as suit them.
func (p *peer) sees(computers int) {
	p.w.Helper()
	voters := 1
	if computers > 2 {
		voters = 3
	}
	p.await(fmt.Sprintf("in a mesh of %d", computers), func(s protocol.Status) bool {
		known, err := p.Computers(p.w.Context())
		return err == nil && len(known) == computers && len(s.Voters) >= voters
	})
}
