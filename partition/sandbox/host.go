//go:build unix

package sandbox

import (
	"cmp"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slapmesh/slapmesh/partition/limits"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// A Host is this computer as partitions need it.
type Host struct {
	binary      string
	interpreter string // what the binary needs in a tree, if it is not static
	bubblewrap  string
	runDir      string
	claims      claims
	groups      *limits.Tree
	grade       Grade
	why         string
	network     bool   // partitions have networks of their own
	pasta       string // gives partitions a way out; none if they cannot have one
	formatter   string // makes file systems; none if partitions cannot have disks of their own
}

// share is the part of the computer's memory, in percent, that all partitions
// may use together: the daemon must be able to answer when they are full.
const share = 90

// Open finds out what the computer grants.
func Open(ctx context.Context, cfg Config) (*Host, error) {
	// What a shell or service manager left open must not reach instances.
	supervisor.KeepDescriptors()

	h := &Host{binary: cfg.Binary, runDir: cmp.Or(cfg.RunDir, "/run/slapd")}
	if h.binary == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("sandbox: find this program: %w", err)
		}
		h.binary = self
	}
	var err error
	if h.interpreter, err = interpreter(h.binary); err != nil {
		return nil, fmt.Errorf("sandbox: read %s: %w", h.binary, err)
	}
	h.claims = claims{filepath.Join(h.runDir, "uids")}
	h.groups = limits.Open(limits.Limits{Memory: physicalMemory() / 100 * share})
	if path, err := exec.LookPath("bwrap"); err == nil {
		h.bubblewrap = path
	}
	if path, err := exec.LookPath("pasta"); err == nil {
		h.pasta = path
	}
	if path, err := exec.LookPath("mkfs.ext4"); err == nil && h.owns() {
		h.formatter = path
	}
	if cfg.Grade == GradePlain {
		h.grade, h.why = GradePlain, "asked for"
		return h, nil
	}
	h.grade, h.why, h.network = detect(ctx, h.bubblewrap, h.groups)
	if h.grade != GradePlain && h.owns() {
		err := os.MkdirAll(h.stageDir(), 0o755)
		if err == nil { // whatever the umask was
			err = errors.Join(os.Chmod(h.runDir, 0o755), os.Chmod(h.stageDir(), 0o755))
		}
		if err != nil {
			return nil, fmt.Errorf("sandbox: %w", err)
		}
		if err := reachable(filepath.Join(h.stageDir(), "tree")); err != nil {
			return nil, fmt.Errorf("sandbox: partitions' users must get to %s: %w", h.stageDir(), err)
		}
	}
	return h, nil
}

// Grade returns how strong the walls are, and why they are no stronger.
func (h *Host) Grade() (grade Grade, why string) { return h.grade, h.why }

// OwnNetwork reports whether partitions have networks of their own: whoever is
// outside reaches their services by [supervisor.Client.Dial] only.
func (h *Host) OwnNetwork() bool { return h.network }

// Root returns the partition's data folder as the partition sees it.
func (h *Host) Root(folder string) string {
	if h.grade == GradePlain {
		return filepath.Join(folder, dataDir)
	}
	return insideData
}

// Prepare makes the partition's folder, empty if it was not there.
func (h *Host) Prepare(folder string) error { return makeFolder(folder, h.owns()) }

// Launch starts the partition's supervisor and returns when it answers. If
// one runs already, that one is returned: launching is idempotent, also when
// several processes do it at once.
func (h *Host) Launch(ctx context.Context, p Partition) (*Running, error) {
	if err := makeFolder(p.Folder, h.owns()); err != nil {
		return nil, err
	}
	unlock, err := lockFile(ctx, filepath.Join(Private(p.Folder), "launch.lock"))
	if err != nil {
		return nil, fmt.Errorf("launch %s: %w", p.Folder, err)
	}
	defer unlock()
	r, err := h.Find(ctx, p.Folder)
	if err == nil && p.Egress != hasWayOut(p.Folder) {
		if err := errors.Join(r.Stop(ctx, 0), r.Wait(ctx), r.Close()); err != nil {
			return nil, fmt.Errorf("launch %s: %w", p.Folder, err)
		}
		err = supervisor.ErrNotRunning
	}
	if err == nil {
		if err := h.limit(p); err != nil {
			return nil, errors.Join(fmt.Errorf("launch %s: %w", p.Folder, err), r.Close())
		}
	}
	if !errors.Is(err, supervisor.ErrNotRunning) {
		return r, err
	}
	if err := h.start(ctx, p); err != nil {
		return nil, fmt.Errorf("launch %s: %w", p.Folder, err)
	}
	return h.Find(ctx, p.Folder)
}

// Destroy ends what runs in the folder and removes it with all that it holds.
// A folder that does not exist is destroyed already.
func (h *Host) Destroy(ctx context.Context, folder string) error {
	if _, err := os.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	uid := recordedUID(folder)
	if r, err := h.Find(ctx, folder); err == nil {
		err := errors.Join(r.Kill(), r.Wait(ctx), r.Close())
		if err != nil {
			return fmt.Errorf("destroy %s: %w", folder, err)
		}
	}
	if err := h.killStragglers(ctx, folder, uid); err != nil {
		return fmt.Errorf("destroy %s: %w", folder, err)
	}
	if err := h.ungroup(ctx, folder); err != nil {
		return fmt.Errorf("destroy %s: %w", folder, err)
	}
	// Private last: it says whose the rest is, if this is cut short.
	for _, part := range []string{runDir, dataDir, etcDir, ""} {
		if err := removeAll(filepath.Join(folder, part)); err != nil {
			return fmt.Errorf("destroy %s: %w", folder, err)
		}
	}
	if uid != 0 {
		return h.claims.release(folder, uid)
	}
	return nil
}

// killStragglers ends what outlived its supervisor.
func (h *Host) killStragglers(ctx context.Context, folder string, uid int) error {
	mark := ""
	if h.grade == GradePlain {
		mark = markOf(folder)
	}
	if err := h.groups.Group(folder).Kill(); err != nil {
		return err
	}
	if uid == 0 && mark == "" {
		return nil // a pid namespace leaves nobody
	}
	for {
		left := processesOf(uid, mark)
		if len(left) == 0 {
			return nil
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// owns says whether each partition gets a user of its own.
func (h *Host) owns() bool { return os.Getuid() == 0 }

// user returns the partition's user, claimed if need be, with all in the
// folder that should be its own.
func (h *Host) user(folder string) (int, error) {
	if !h.owns() {
		return os.Getuid(), nil
	}
	have := recordedUID(folder)
	uid, err := h.claims.claim(folder, have)
	if err != nil || uid == have {
		return uid, err
	}
	if err := giveTo(folder, uid); err != nil {
		return 0, err
	}
	return uid, os.WriteFile(uidFile(folder), []byte(strconv.Itoa(uid)+"\n"), 0o600)
}

func uidFile(folder string) string { return filepath.Join(Private(folder), "uid") }

// recordedUID returns the partition's user, or zero if it has none.
func recordedUID(folder string) int {
	b, err := os.ReadFile(uidFile(folder))
	if err != nil {
		return 0
	}
	uid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || uid < firstUID || uid >= firstUID+numUIDs {
		return 0
	}
	return uid
}

func (h *Host) stageDir() string { return filepath.Join(h.runDir, "stage") }

// lockFile locks path against other processes and goroutines.
func lockFile(ctx context.Context, path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = pause(ctx, 2*time.Millisecond)
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
}

// pause waits for d, or less if ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// interpreter returns the dynamic linker that a program needs, or nothing.
func interpreter(path string) (string, error) {
	f, err := elf.Open(path)
	if _, other := errors.AsType[*elf.FormatError](err); other {
		return "", nil // a program of a system that has no walls
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			b, err := io.ReadAll(io.LimitReader(p.Open(), 4096))
			return strings.TrimRight(string(b), "\x00"), err
		}
	}
	return "", nil
}
