//go:build linux

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The smallest disk that a partition gets, in bytes, and the size of its
// blocks.
const (
	minDisk   = 16 << 20
	blockSize = 4096
)

func imageOf(folder string) string { return filepath.Join(folder, ImageFolder, "image") }

// image makes the file that holds the partition's disk, if there is none, and
// returns its path: none if the partition has no disk of its own. One that has
// data already goes on without, for nothing is moved.
func (h *Host) image(ctx context.Context, p Partition, uid int) (path string, fresh bool, err error) {
	if !h.owns() || h.grade == GradePlain {
		return "", false, nil
	}
	size := max(p.Disk, minDisk) &^ (blockSize - 1)
	path = imageOf(p.Folder)
	if _, err := os.Lstat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return path, false, err
	}
	entries, err := os.ReadDir(filepath.Join(p.Folder, dataDir))
	if err != nil || p.Disk == 0 || len(entries) > 0 || h.formatter == "" {
		return "", false, err
	}
	return path, true, h.format(ctx, path, size, uid)
}

// format makes an empty file system in a sparse file.
func (h *Host) format(ctx context.Context, path string, size int64, uid int) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make disk: %w", err)
	}
	draft := path + ".new"
	f, err := os.OpenFile(draft, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make disk: %w", err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return fmt.Errorf("make disk: %w", err)
	}
	owner := strconv.Itoa(uid)
	out, err := exec.CommandContext(ctx, h.formatter, "-q", "-F", "-m", "0", "-b", strconv.Itoa(blockSize), "-J", "size=4",
		"-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner="+owner+":"+owner, draft).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make disk: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return os.Rename(draft, path)
}

// errNoDisk says that this computer cannot mount images.
var errNoDisk = errors.New("cannot mount the partition's disk")

// mountImage mounts the image, made as large as size if it is smaller, over
// the data folder, in the mount namespace of the calling thread, for the
// partition's user. The loop device goes with the last mount of it.
func mountImage(ctx context.Context, image string, size int64, data string, uid int) error {
	file, err := lockImage(ctx, image)
	if err != nil {
		return fmt.Errorf("open the partition's disk: %w", err)
	}
	defer func() { _ = file.Close() }()
	if err := enlarge(ctx, file, size); err != nil {
		return fmt.Errorf("enlarge the partition's disk: %w", err)
	}
	device, err := attach(file)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoDisk, err)
	}
	defer func() { _ = device.Close() }()
	if err := unix.Mount(device.Name(), data, "ext4", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOATIME, "discard"); err != nil {
		return fmt.Errorf("%w: mount %s: %w", errNoDisk, device.Name(), err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(data, &st); err != nil {
		return err
	}
	_ = os.Remove(filepath.Join(data, "lost+found")) // servers want their folders empty
	if int(st.Uid) != uid {                          // it was claimed by another meanwhile
		if err := chownAll(data, uid); err != nil {
			return err
		}
	}
	return os.Chmod(data, 0o700)
}

// lockImage opens an image and locks it. The loop device that is made of the
// open file keeps the lock, so an image is never mounted twice: one whose last
// partition is still ending is waited for.
func lockImage(ctx context.Context, image string) (*os.File, error) {
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = pause(ctx, wait)
		} else if err == nil {
			return file, nil
		}
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
}

// enlarge makes a file system that is not mounted larger. It is checked
// before, as resize2fs demands. None is made smaller.
func enlarge(ctx context.Context, file *os.File, size int64) error {
	size &^= blockSize - 1
	info, err := file.Stat()
	if err != nil || info.Size() >= size {
		return err
	}
	out, err := exec.CommandContext(ctx, "e2fsck", "-f", "-p", file.Name()).CombinedOutput()
	if ended, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || ended.ExitCode() != 1) { // 1: mended
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	if out, err := exec.CommandContext(ctx, "resize2fs", file.Name(), strconv.FormatInt(size/1024, 10)+"K").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// attach makes a loop device of a file. It is freed when nobody uses it.
func attach(file *os.File) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = control.Close() }()
	for range 64 { // somebody else may take the one that was free
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, os.NewSyscallError("find a loop device", err)
		}
		device, err := os.OpenFile("/dev/loop"+strconv.Itoa(n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		config := unix.LoopConfig{Fd: uint32(file.Fd()), Size: blockSize}
		config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
		err = unix.IoctlLoopConfigure(int(device.Fd()), &config)
		if err == nil {
			return device, nil
		}
		_ = device.Close()
		if !errors.Is(err, unix.EBUSY) {
			return nil, os.NewSyscallError("set up "+device.Name(), err)
		}
	}
	return nil, errors.New("no loop device is free")
}

// Fullness returns how many bytes of a partition's own disk are used, and how
// many there are; none if it has no disk of its own, or does not run.
func (h *Host) Fullness(r *Running) (used, size int64) {
	var host, inside unix.Statfs_t
	if unix.Statfs(r.Dir, &host) != nil || unix.Statfs(fmt.Sprintf("/proc/%d/root%s", r.PID, insideData), &inside) != nil {
		return 0, 0
	}
	if h.grade == GradePlain || host.Fsid == inside.Fsid || inside.Blocks == 0 {
		return 0, 0
	}
	return int64(inside.Blocks-inside.Bavail) * inside.Bsize, int64(inside.Blocks) * inside.Bsize
}
