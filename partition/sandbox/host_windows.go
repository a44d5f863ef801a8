package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/slapmesh/slapmesh/partition/limits"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// errNowhere says that no partition runs on this system.
var errNowhere = errors.New("partitions run on Linux, macOS and FreeBSD, not on Windows: let another computer offer them")

// A Host is this computer, which has no partitions: it is a peer like any
// other, and uses what others offer.
type Host struct{ groups *limits.Tree }

// Open finds out that nothing can be granted.
func Open(context.Context, Config) (*Host, error) {
	return &Host{limits.Open(limits.Limits{})}, nil
}

// Grade returns how strong the walls are, and why they are no stronger.
func (h *Host) Grade() (grade Grade, why string) { return GradePlain, errNowhere.Error() }

// OwnNetwork reports whether partitions have networks of their own.
func (h *Host) OwnNetwork() bool { return false }

// WayOut says why partitions can have no way out to the Internet.
func (h *Host) WayOut() error { return errNowhere }

// Root returns the partition's data folder as the partition sees it.
func (h *Host) Root(folder string) string { return filepath.Join(folder, dataDir) }

// Prepare refuses: there is nothing to prepare a folder for.
func (h *Host) Prepare(string) error { return errNowhere }

// Launch refuses.
func (h *Host) Launch(context.Context, Partition) (*Running, error) { return nil, errNowhere }

// Find returns [supervisor.ErrNotRunning].
func (h *Host) Find(context.Context, string) (*Running, error) {
	return nil, supervisor.ErrNotRunning
}

// Destroy removes what is in the folder.
func (h *Host) Destroy(_ context.Context, folder string) error { return os.RemoveAll(folder) }

// Group returns the control group of the partition in a folder, which does not
// exist.
func (h *Host) Group(folder string) *limits.Group { return h.groups.Group(folder) }

// Fullness returns zero: no partition has a disk of its own here.
func (h *Host) Fullness(*Running) (used, size int64) { return 0, 0 }

// A Running is the supervisor of a partition. There is none here.
type Running struct {
	supervisor.Client

	// PID is the supervisor's process id on the computer.
	PID int
}

// Alive reports whether the supervisor has not ended yet.
func (r *Running) Alive() bool { return false }

// Close lets go of the supervisor.
func (r *Running) Close() error { return nil }

// Kill ends the supervisor.
func (r *Running) Kill() error { return nil }

// Wait returns when the supervisor has ended.
func (r *Running) Wait(context.Context) error { return nil }
