package sandbox

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/slapmesh/slapmesh/partition/limits"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// begin starts the command in the partition's group, behind its walls.
func (h *Host) begin(ctx context.Context, cmd *exec.Cmd, p Partition, group *limits.Group, uid, gid int) error {
	if err := h.prepare(cmd, p, uid, gid); err != nil {
		return err
	}
	return h.onDisk(ctx, p, uid, func(image string) error {
		return limits.OnThread(func() error { return h.enter(ctx, cmd, p, group, image, uid) })
	})
}

// prepare fills in the command that starts the supervisor.
func (h *Host) prepare(cmd *exec.Cmd, p Partition, uid, gid int) error {
	if h.grade == GradePlain {
		return h.preparePlain(cmd, p, uid)
	}
	names, err := writeEtc(p.Folder, uid, gid, resolvers(p))
	if err != nil {
		return err
	}
	tree, folder, binary := p.Tree, p.Folder, h.binary
	if h.owns() {
		s := h.stage(p)
		tree, folder, binary = s.treePath(), s.folderPath(), s.binaryPath()
	}
	inside := supervisor.Options{Root: insideData, Run: insideRun, Ready: readyFD, Processes: p.bounds().Processes}
	around := walls(h.network && !p.Egress)
	if p.Egress {
		inside.Ready = 0
		around = append(around, "--uid", strconv.Itoa(uid), "--gid", strconv.Itoa(gid)) // to pasta's child, who it is is root
	}
	cmd.Path = h.bubblewrap
	cmd.Args = slices.Concat([]string{"bwrap"}, around, bubblewrap(tree, folder, binary, filepath.Base(p.Folder), boundEtc(p.Tree, names), inside))
	if p.Egress {
		return h.throughPasta(cmd, binary)
	}
	return nil
}

// enter starts the command in the partition's group and, if root has to put
// things within the partition's reach, on a stage. The calling thread is
// thrown away after.
func (h *Host) enter(ctx context.Context, cmd *exec.Cmd, p Partition, group *limits.Group, image string, uid int) error {
	if h.grade != GradePlain && h.owns() {
		s := h.stage(p)
		s.image, s.size, s.uid = image, p.Disk, uid
		if err := s.enter(ctx); err != nil {
			return err
		}
		if p.Egress {
			if err := makeTun(); err != nil {
				return err
			}
		}
	}
	return group.Start(cmd)
}

// onDisk starts a partition on its disk. One that has none yet goes without
// where this computer cannot mount any.
func (h *Host) onDisk(ctx context.Context, p Partition, uid int, start func(image string) error) error {
	image, fresh, err := h.image(ctx, p, uid)
	if err != nil {
		return err
	}
	err = start(image)
	if fresh && errors.Is(err, errNoDisk) {
		if err := os.RemoveAll(filepath.Dir(image)); err != nil {
			return err
		}
		return start("")
	}
	return err
}

func (h *Host) stage(p Partition) stage {
	return stage{dir: h.stageDir(), tree: p.Tree, folder: p.Folder, binary: h.binary}
}
