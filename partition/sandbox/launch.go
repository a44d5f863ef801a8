//go:build unix

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// readyFD is the supervisor's end of the pipe that it reports readiness on.
const readyFD = 3

// start starts a supervisor and waits until it answers calls.
func (h *Host) start(ctx context.Context, p Partition) error {
	if info, err := os.Stat(p.Tree); err != nil || !info.IsDir() {
		return fmt.Errorf("release tree %s: not there", p.Tree)
	}
	if h.grade != GradePlain && h.interpreter != "" {
		if _, err := os.Stat(filepath.Join(p.Tree, h.interpreter)); err != nil {
			return fmt.Errorf("%s needs %s, which the release lacks: build slapd with CGO_ENABLED=0", h.binary, h.interpreter)
		}
	}
	uid, err := h.user(p.Folder)
	if err != nil {
		return err
	}
	gid := uid
	if !h.owns() {
		gid = os.Getgid()
	}
	logPath := filepath.Join(Private(p.Folder), "supervisor.log")
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	ours, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = ours.Close() }()

	cmd := &exec.Cmd{
		Stdout: log, Stderr: log, ExtraFiles: []*os.File{theirs}, Env: []string{}, Dir: "/",
		SysProcAttr: &syscall.SysProcAttr{Setsid: true}, // no terminal's signals
	}
	if h.owns() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	if err := noteWayOut(p); err != nil {
		return err
	}
	group, err := h.regroup(ctx, p)
	if err == nil {
		err = h.begin(ctx, cmd, p, group, uid, gid)
	}
	_ = theirs.Close()
	if err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // ends with the partition; a daemon that ends before leaves it to init
	return awaitReady(ctx, ours, logPath)
}

// preparePlain fills in the command that starts a supervisor as an ordinary
// process.
func (h *Host) preparePlain(cmd *exec.Cmd, p Partition, uid int) error {
	if h.owns() {
		for _, path := range []string{p.Folder, p.Tree, h.binary} {
			if err := reachable(path); err != nil {
				return fmt.Errorf("without walls user %d must get to %s: %w", uid, path, err)
			}
		}
	}
	data := h.Root(p.Folder)
	path := insidePath
	for _, d := range []string{"bin", "sbin", "usr/bin", "usr/sbin"} {
		path = filepath.Join(p.Tree, d) + ":" + path
	}
	for _, v := range environment(data, path) {
		cmd.Env = append(cmd.Env, v[0]+"="+v[1])
	}
	cmd.Env = append(cmd.Env, markOf(p.Folder))
	cmd.Path = h.binary
	cmd.Dir = data
	o := supervisor.Options{Root: data, Run: Run(p.Folder), Ready: readyFD, Tree: p.Tree}
	if h.owns() { // else the limit would count all that the user runs
		o.Processes = p.bounds().Processes
	}
	cmd.Args = append([]string{"slapd"}, o.Args()...)
	return nil
}

// markOf is what processes of a partition without walls carry in their
// environment, to be found by.
func markOf(folder string) string { return "SLAPD_PARTITION=" + folder }

// reachable says which directory above path other users cannot pass.
func reachable(path string) error {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("%s is closed to them: chmod o+x it", dir)
		}
		if dir == "/" || dir == "." {
			return nil
		}
	}
}

// awaitReady waits for the supervisor's word. The end of the pipe without it
// means that it, or its walls, failed.
func awaitReady(ctx context.Context, ours *os.File, logPath string) error {
	defer context.AfterFunc(ctx, func() { _ = ours.SetReadDeadline(time.Unix(1, 0)) })()
	buf := make([]byte, 1024)
	n, err := ours.Read(buf)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	said := strings.TrimSpace(string(buf[:n]))
	switch {
	case said == "ok":
		return nil
	case said != "":
		return errors.New(said)
	case err != nil && !errors.Is(err, io.EOF):
		return err
	}
	if why := lastLines(logPath); why != "" {
		return errors.New(why)
	}
	return errors.New("supervisor ended at once")
}

// wayOutFile is there, in the private part of a folder, if the partition was
// launched with a way out.
func wayOutFile(folder string) string { return filepath.Join(Private(folder), "egress") }

func hasWayOut(folder string) bool {
	_, err := os.Lstat(wayOutFile(folder))
	return err == nil
}

// noteWayOut writes down whether the partition is about to have a way out.
func noteWayOut(p Partition) error {
	if p.Egress {
		return os.WriteFile(wayOutFile(p.Folder), nil, 0o600)
	}
	err := os.Remove(wayOutFile(p.Folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
