//go:build unix

package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// A Running is the supervisor of a partition, found or just launched. It must
// be closed; that does not end it.
type Running struct {
	supervisor.Client

	// PID is the supervisor's process id on the computer. Inside, it is 1.
	PID int

	hold hold
}

// Find returns the supervisor that runs in the folder, or
// [supervisor.ErrNotRunning].
func (h *Host) Find(ctx context.Context, folder string) (*Running, error) {
	r := &Running{Client: supervisor.Client{Dir: Run(folder)}}
	pid, err := r.Client.PID(ctx)
	if err != nil {
		return nil, err
	}
	r.PID = pid
	if r.hold, err = holdOn(pid); err != nil {
		return nil, supervisor.ErrNotRunning // it ended in between
	}
	again, err := r.Client.PID(ctx) // the pid was still this process's when we took hold of it
	if err == nil && again != pid {
		err = supervisor.ErrNotRunning
	}
	if err == nil {
		err = h.verify(pid)
	}
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

// Alive reports whether the supervisor has not ended yet.
func (r *Running) Alive() bool { return r.hold.alive() }

// verify makes sure that who answers is the init of a partition, not one of
// the processes inside that put a socket of its own in the place.
func (h *Host) verify(pid int) error {
	if h.grade == GradePlain {
		return nil
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return supervisor.ErrNotRunning
	}
	for line := range bytes.Lines(b) {
		if rest, ok := strings.CutPrefix(string(line), "NSpid:"); ok {
			if ids := strings.Fields(rest); len(ids) > 1 && ids[len(ids)-1] == "1" {
				return nil
			}
		}
	}
	return fmt.Errorf("supervisor: process %d is not the partition's init: destroy the instance", pid)
}

// Close lets go of the supervisor, which runs on.
func (r *Running) Close() error { return r.hold.close() }

// Kill ends the supervisor, and with it all that it runs, at once.
func (r *Running) Kill() error { return r.hold.kill() }

// Wait returns when the supervisor has ended, or with ctx's error.
func (r *Running) Wait(ctx context.Context) error { return r.hold.wait(ctx) }
