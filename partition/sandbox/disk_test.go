package sandbox_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/partition/sandbox"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// launchOn launches the partition with a disk of a size, or skips where it
// cannot have one.
func (b *bench) launchOn(size int64) *sandbox.Running {
	b.Helper()
	if os.Getuid() != 0 {
		b.Skip("an ordinary user cannot mount")
	}
	r, err := b.host.Launch(b.Context(), sandbox.Partition{Folder: b.folder, Tree: b.tree, Disk: size})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.Close() })
	if _, size := b.host.Fullness(r); size == 0 {
		b.Skip("no disks of their own here: mkfs.ext4 or loop devices are missing")
	}
	return r
}

// end stops the partition's supervisor.
func (b *bench) end(r *sandbox.Running) {
	b.Helper()
	if err := r.Stop(b.Context(), 0); err != nil {
		b.Fatal(err)
	}
	if err := r.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// Who fills the disk, or makes files without end, gets no further than the
// partition's own; the computer's has room, and what is there stays over a
// stop, grows when it is given more, and goes with the partition.
func TestDisk(t *testing.T) {
	b := newBench(t, "")
	r := b.launchOn(32 << 20)
	if said, _ := b.exec(r, "ls", "/data"); said != ".slapd" && said != "" {
		t.Errorf("an empty disk holds %q", said)
	}
	var written int
	said, _ := b.exec(r, "fill", "/data")
	if n, err := fmt.Sscan(said, &written); n != 1 || written > 32<<20 || written < 16<<20 || !strings.Contains(said, "no space left") {
		t.Errorf("filling says %q, %v", said, err)
	}
	if used, size := b.host.Fullness(r); size-used > 1<<20 {
		t.Errorf("%d of %d bytes are used", used, size)
	}
	if err := os.WriteFile(filepath.Join(b.folder, "room"), make([]byte, 1<<20), 0o600); err != nil {
		t.Errorf("the computer's own disk: %v", err)
	}

	b.end(r)
	r = b.launchOn(64 << 20)
	if _, size := b.host.Fullness(r); size < 50<<20 {
		t.Errorf("given 64 MiB it has %d bytes", size)
	}
	if said, code := b.exec(r, "append", "/data/filling", "x"); code != 0 {
		t.Errorf("with more room: %s", said)
	}
	if err := r.Apply(t.Context(), supervisor.Spec{Files: []supervisor.File{{Path: "/data/mine", Content: []byte("x")}}}); err != nil {
		t.Fatal(err)
	}
	b.untilPhase(r, supervisor.PhaseStarted)

	var files int
	said, _ = b.exec(r, "litter", "/data")
	if n, err := fmt.Sscan(said, &files); n != 1 || files > 1<<17 || !strings.Contains(said, "no space left") {
		t.Errorf("files without end: %q, %v", said, err)
	}
	b.end(r)
	if entries, err := os.ReadDir(filepath.Join(b.folder, "data")); err != nil || len(entries) > 0 {
		t.Errorf("the computer itself sees %v, %v", entries, err)
	}
}
