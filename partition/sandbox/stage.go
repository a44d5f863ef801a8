//go:build linux

package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A stage is where root puts what a partition may see within reach of the
// partition's user, who cannot pass through the daemon's state folder. It is
// a file system in a mount namespace of the launched process's own, so it
// exists for that process only and ends with it.
type stage struct {
	dir                  string // exists on the host; the stage is mounted over it
	tree, folder, binary string // sources

	image string // of the partition's disk, if it has one
	size  int64  // of that, at least
	uid   int    // the partition's
}

// The names of a stage's parts.
func (s stage) treePath() string   { return filepath.Join(s.dir, "tree") }
func (s stage) folderPath() string { return filepath.Join(s.dir, "folder") }
func (s stage) binaryPath() string { return filepath.Join(s.dir, "slapd") }

// enter moves the calling thread to the stage. The thread is thrown away
// after: no second program has to be started only to mount, which would add
// half to the time that a launch takes.
func (s stage) enter(ctx context.Context) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare mounts: %w", err)
	}
	mount := func(source, target, kind string, flags uintptr, data string) error {
		if err := unix.Mount(source, target, kind, flags, data); err != nil {
			return fmt.Errorf("mount %s on %s: %w", source, target, err)
		}
		return nil
	}
	// What the host unmounts later must not stay busy here; nothing goes back.
	if err := mount("none", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return err
	}
	if err := mount("slapd", s.dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=64k"); err != nil {
		return err
	}
	for _, dir := range []string{s.treePath(), s.folderPath()} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(s.binaryPath(), nil, 0o755); err != nil {
		return err
	}
	for target, source := range map[string]string{s.treePath(): s.tree, s.folderPath(): s.folder, s.binaryPath(): s.binary} {
		if err := mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
	}
	if s.image != "" {
		return mountImage(ctx, s.image, s.size, filepath.Join(s.folderPath(), dataDir), s.uid)
	}
	return nil
}
