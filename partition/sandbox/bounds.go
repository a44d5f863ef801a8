//go:build unix

package sandbox

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slapmesh/slapmesh/partition/limits"
)

// Group returns the control group of the partition in a folder: what measures
// it, and what it ran out of.
func (h *Host) Group(folder string) *limits.Group { return h.groups.Group(folder) }

// bounds returns what a partition is held to.
func (p Partition) bounds() limits.Limits {
	l := p.Limits
	if l.Processes == 0 {
		l.Processes = DefaultProcesses
	}
	return l
}

// limit changes what a running partition is held to. One that was launched by
// a program without groups has none before its next launch.
func (h *Host) limit(p Partition) error {
	if g := h.groups.Group(p.Folder); g.Exists() {
		return g.Make(p.bounds())
	}
	return nil
}

// regroup makes the partition's group anew: what its last life ran out of is
// no news in the next.
func (h *Host) regroup(ctx context.Context, p Partition) (*limits.Group, error) {
	if err := h.ungroup(ctx, p.Folder); err != nil {
		return nil, err
	}
	g := h.groups.Group(p.Folder)
	return g, g.Make(p.bounds())
}

// ungroup removes the partition's group. Who was killed in it may still be
// dying.
func (h *Host) ungroup(ctx context.Context, folder string) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := h.groups.Group(folder).Remove()
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		if err := h.groups.Group(folder).Kill(); err != nil {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}
