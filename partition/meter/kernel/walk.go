//go:build unix

package kernel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Bounds on a walk. What is beyond them is not counted, and said so.
const (
	maxFiles = 10_000_000
	maxDepth = 200
)

// diskUsage returns how many bytes the files below a folder take on its file
// system. A file with several names counts once; what is mounted below does
// not count. With an error it is what could be counted. It follows no link,
// whatever is exchanged for one meanwhile.
func diskUsage(ctx context.Context, folder string) (uint64, error) {
	fd, err := unix.Open(folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ENOENT) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", folder, err)
	}
	w := &walk{ctx: ctx.Err, seen: make(map[uint64]struct{})}
	var status unix.Stat_t
	if err := unix.Fstat(fd, &status); err != nil {
		return 0, errors.Join(fmt.Errorf("measure %s: %w", folder, err), unix.Close(fd))
	}
	w.device = uint64(status.Dev) //nolint:unconvert // the types differ between systems
	w.count(status)
	w.directory(os.NewFile(uintptr(fd), folder), 1)
	if w.err != nil {
		return w.bytes, fmt.Errorf("measure %s: %d files counted: %w", folder, w.files, w.err)
	}
	return w.bytes, nil
}

// A walk is what was found so far.
type walk struct {
	ctx    func() error
	device uint64
	seen   map[uint64]struct{} // files with several names
	files  int
	bytes  uint64
	err    error // the first; the walk goes on
}

func (w *walk) failed(err error) {
	if w.err == nil && !errors.Is(err, unix.ENOENT) {
		w.err = err
	}
}

func (w *walk) done() bool {
	if err := w.ctx(); err != nil {
		w.failed(err)
		return true
	}
	return w.files >= maxFiles
}

// count adds what one file takes: blocks, not length, for a file may have
// holes.
func (w *walk) count(status unix.Stat_t) {
	w.files++
	w.bytes = plus(w.bytes, times(uint64(max(0, int64(status.Blocks))), 512)) //nolint:unconvert // the types differ between systems
}

// directory counts what is in an open directory, and closes it.
func (w *walk) directory(dir *os.File, depth int) {
	defer func() { _ = dir.Close() }()
	for !w.done() {
		names, err := dir.Readdirnames(512)
		for _, name := range names {
			w.file(dir, name, depth)
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			w.failed(err)
			return
		}
	}
	if w.files >= maxFiles {
		w.failed(fmt.Errorf("more than %d", maxFiles))
	}
}

// file counts one file, and what is in it if it is a directory.
func (w *walk) file(dir *os.File, name string, depth int) {
	var status unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), name, &status, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		w.failed(err)
		return
	}
	isDir := status.Mode&unix.S_IFMT == unix.S_IFDIR
	if uint64(status.Dev) != w.device { //nolint:unconvert // the types differ between systems
		return
	}
	if !isDir && status.Nlink > 1 {
		if _, ok := w.seen[status.Ino]; ok {
			return
		}
		w.seen[status.Ino] = struct{}{}
	}
	w.count(status)
	switch {
	case !isDir:
	case depth >= maxDepth:
		w.failed(fmt.Errorf("directories more than %d deep", maxDepth))
	default:
		fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		if err != nil {
			w.failed(err)
			return
		}
		w.directory(os.NewFile(uintptr(fd), name), depth+1)
	}
}
