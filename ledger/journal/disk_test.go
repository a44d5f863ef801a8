package journal

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

const brokenStores = "JOURNAL_BROKEN_STORES"

// TestDiskFull fills the disk under each kind of write. The write fails, so
// does every later one, and what was durable is there afterwards. A broken
// store never ends all that it began, so this runs in a process of its own.
func TestDiskFull(t *testing.T) {
	if os.Getenv(brokenStores) == "" {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDiskFull$", "-test.v")
		child.Env = append(os.Environ(), brokenStores+"=1")
		if out, err := child.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	source := open(t, t.TempDir())
	add(t, source, 1, 200)
	for _, test := range []struct {
		name string
		when func(*Journal) error
	}{
		{"sync", func(j *Journal) error {
			if _, err := j.Append(someEntry(1, 100)); err != nil {
				return err
			}
			_, err := j.Sync(t.Context())
			return err
		}},
		{"keep", func(j *Journal) error { return j.Keep(signed(t, source, 50), nil) }},
		{"restore", func(j *Journal) error { return j.Restore(source.Frontier()) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			var full atomic.Bool
			mem := vfs.NewCrashableMem()
			disk := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
					return syscall.ENOSPC
				}
				return nil
			}))
			j := openOn(t, disk)
			add(t, j, 1, 100)
			if _, err := j.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			full.Store(true)
			if err := test.when(j); err == nil || !strings.Contains(err.Error(), "no space left") {
				t.Errorf("error %v", err)
			}
			if _, err := j.Append(someEntry(1, j.Size())); err == nil {
				t.Error("appended to a broken journal")
			}
			after := openOn(t, mem.CrashClone(vfs.CrashCloneCfg{}))
			if after.Size() < 100 {
				t.Errorf("size %d after 100 were durable", after.Size())
			}
			checkHistory(t, after, 1)
			if err := after.Close(); err != nil {
				t.Error(err)
			}
			if err := j.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A smallDisk says how much of it is free.
type smallDisk struct {
	vfs.FS
	free uint64
}

func (d *smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.free}, nil
}

// TestReserve stops before the disk is full, and goes on when it is not.
func TestReserve(t *testing.T) {
	disk := &smallDisk{vfs.NewMem(), 100 << 20}
	j := openOn(t, disk)
	add(t, j, 1, 10)
	disk.free = 60 << 20
	if size, err := j.Sync(t.Context()); size != 10 || err != nil {
		t.Error(size, err)
	}
	if _, err := j.Append(someEntry(1, 10)); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	verify(t, j)
	disk.free = 70 << 20
	if size, err := j.Sync(t.Context()); size != 10 || err != nil {
		t.Error(size, err)
	}
	add(t, j, 1, 20)
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// TestReadOnly looks at a journal and changes nothing.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	j := must(Open(dir, Options{}))
	add(t, j, 1, 500)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)
	j = must(Open(dir, Options{ReadOnly: true}))
	if v := verify(t, j); v.Size != 500 {
		t.Errorf("%+v", v)
	}
	if _, err := j.Append(someEntry(1, 500)); !errors.Is(err, errReadOnly) {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if contents(t, dir) != before {
		t.Error("changed")
	}
}

func contents(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		all.WriteString(path + string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
