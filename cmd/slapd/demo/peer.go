package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
	"github.com/slapmesh/slapmesh/protocol/client"
)

// A peer is one slapd of the demo: a process with a state folder of its own.
type peer struct {
	*client.Client
	name    string
	dir     string
	id      string // once it has answered
	process *os.Process
	exited  chan struct{} // closed when the process is gone
}

// startPeer runs slapd with the given verb and flags. The process outlives
// the demo if it is told to, so its output goes to a file.
func (s *show) startPeer(name, dir string, args ...string) (*peer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, "slapd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	args = append(args, "--dir", dir, "--name", name, "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0")
	cmd := exec.Command(s.opt.Binary, args...) //nolint:noctx // it is ended step by step, not by a context
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(append(os.Environ(), "SLAPD_TOKEN="), s.opt.Env...) // that of the user is another mesh's
	cmd.SysProcAttr = apart()                                            // an interrupt of the demo is the demo's to handle
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c, err := client.New(client.Config{Socket: filepath.Join(dir, "slapd.sock")})
	if err != nil {
		return nil, err
	}
	p := &peer{Client: c, name: name, dir: dir, process: cmd.Process, exited: make(chan struct{})}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait()
	}()
	return p, nil
}

// await asks the peer for its status until ok accepts it.
func (p *peer) await(ctx context.Context, ok func(protocol.Status) bool) (protocol.Status, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		status, err := p.Status(ctx)
		if err == nil && ok(status) {
			p.id = status.PeerID
			return status, nil
		}
		select {
		case <-p.exited:
			return status, fmt.Errorf("%s ended: %s", p.name, p.lastWords())
		case <-ctx.Done():
			if err == nil {
				err = errors.New("not as wanted yet")
			}
			return status, fmt.Errorf("%s: %w (%w)", p.name, context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// lastWords is the end of what the peer logged.
func (p *peer) lastWords() string {
	data, err := os.ReadFile(filepath.Join(p.dir, "slapd.log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return lines[len(lines)-1]
}

// kill ends the peer without a word of warning.
func (p *peer) kill(ctx context.Context) error {
	if err := p.process.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	return p.gone(ctx)
}

// stop ends the peer gently. Its instances would run on.
func (p *peer) stop(ctx context.Context) error {
	if err := p.process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return p.gone(ctx)
}

func (p *peer) gone(ctx context.Context) error {
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s (pid %d) does not end: %w", p.name, p.process.Pid, context.Cause(ctx))
	}
}

// exec runs a program in an instance's partition and returns what it wrote.
func (p *peer) exec(ctx context.Context, reference string, argv ...string) (string, error) {
	var out, complaint strings.Builder
	code, err := p.Exec(ctx, protocol.Ref{Reference: reference}, protocol.ExecInput{Argv: argv},
		strings.NewReader(""), &out, io.MultiWriter(&complaint))
	if err != nil {
		return "", err
	}
	if code != 0 {
		return "", fmt.Errorf("%s: exit code %d: %s", argv[0], code, strings.TrimSpace(complaint.String()))
	}
	return strings.TrimSpace(out.String()), nil
}
