package main_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slapmesh/slapmesh/protocol"
)

// A disk that is full while a release is built costs nothing but the build:
// the instance says which disk, nothing half-built is used, the peer goes on,
// and when there is room it is built.
func TestDiskIsFullWhileBuilding(t *testing.T) {
	t.Parallel()
	downloaded(t, "memcached")
	w := newWorld(t, newNetwork(t))
	disk, mount := w.smallDisk("store")
	mount(0, "size=8m,mode=0700")
	a := w.mesh("2", "a")[0]
	a.ask(protocol.RequestInput{Reference: "cache", Release: "memcached"})
	var reason string
	w.until("the instance says that the disk is full", func() error {
		i, err := a.Instance(t.Context(), protocol.Ref{Reference: "cache"})
		if reason = i.Reason; err == nil && !strings.Contains(reason, "no space left") {
			err = fmt.Errorf("state %s: %s", i.State, reason)
		}
		return err
	})
	t.Log(reason)
	if !strings.Contains(reason, disk) || !strings.Contains(reason, "make room") {
		t.Errorf("the reason names neither the disk nor the way out: %s", reason)
	}
	if err := w.net.do(func() error { return noFiles(filepath.Join(disk, "tree"), filepath.Join(disk, "record")) }); err != nil {
		t.Error(err)
	}
	if _, err := a.stopped(1); err != nil {
		t.Errorf("the peer does not go on: %v", err)
	}
	mount(unix.MS_REMOUNT, "size=1g")
	w.until("it is built when there is room", func() error {
		i, err := a.Instance(t.Context(), protocol.Ref{Reference: "cache"})
		if err == nil && i.State != protocol.StateStarted {
			err = fmt.Errorf("state %s: %s", i.State, i.Reason)
		}
		return err
	})
	a.set("cache", protocol.RequestDestroyed)
}

// noFiles says which files there are in folders, which need not exist.
func noFiles(folders ...string) error {
	for _, folder := range folders {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(entries) > 0 {
			return fmt.Errorf("%s has %v", folder, entries)
		}
	}
	return nil
}

// smallDisk makes a folder of peer a a disk of its own, which mount makes and
// changes as mount(8) would. The test is skipped where that is not possible.
func (w *world) smallDisk(folder string) (disk string, mount func(flags uintptr, options string)) {
	w.Helper()
	if w.net == here {
		w.Skip("a small disk needs root")
	}
	disk = filepath.Join(w.dir, "a", folder)
	if err := os.MkdirAll(disk, 0o700); err != nil {
		w.Fatal(err)
	}
	if err := w.net.keepMounts(); err != nil {
		w.Skip(err)
	}
	w.Cleanup(func() { _ = w.net.mounts.Close() })
	return disk, func(flags uintptr, options string) {
		w.Helper()
		if err := w.net.do(func() error { return unix.Mount("small", disk, "tmpfs", flags, options) }); err != nil {
			w.Fatal(err)
		}
	}
}
