package partition

import (
	"context"
	"errors"
	"io"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/partition/store"
	"github.com/slapmesh/slapmesh/partition/supervisor"
)

// A Host is the computer that steps act on. Steps of different partitions and
// releases act at the same time.
type Host interface {
	// Look finds what earlier agents left: each partition that is not empty,
	// with whether it runs.
	Look(ctx context.Context) (map[int]Place, error)

	// Built returns the tree of a release that was built before. It is quick.
	Built(profile []byte) (tree string, ok bool)

	// Build makes the tree of a release.
	Build(ctx context.Context, profile []byte, progress func(string)) (tree string, err error)

	// Drop removes a tree. One that is not there is dropped already.
	Drop(ctx context.Context, tree string) error

	// Start makes the instance run as it should, in its partition. The
	// partition is empty, or has the instance's own data.
	Start(ctx context.Context, s Start) (Result, error)

	// Receive takes the data of an instance that moved here, and gives it its
	// secrets. The partition is empty, or has what was taken in vain before.
	Receive(ctx context.Context, s Receive) error

	// Stop ends what runs in the partition and returns when it has ended.
	Stop(ctx context.Context, partition int) error

	// Destroy removes all that the partition holds.
	Destroy(ctx context.Context, partition int) error

	// Watch calls f with the status of the partition's supervisor, now and
	// at each change, until the supervisor has ended or ctx is done.
	Watch(ctx context.Context, partition int, f func(supervisor.Status)) error

	// Logs returns what the instance logged. With follow it goes on until it
	// is closed or ctx is done.
	Logs(ctx context.Context, i ledger.Instance, follow bool) (io.ReadCloser, error)

	// Exec runs a command in the instance's partition.
	Exec(ctx context.Context, i ledger.Instance, e supervisor.Exec) (code int, err error)
}

// ErrNotHere is the answer when an instance has nothing on this computer.
var ErrNotHere = errors.New("instance is not on this computer")

// permanent says whether an error is such that trying again cannot help: what
// was asked for is at fault, or somebody has to make room.
func permanent(err error) bool {
	if _, ok := errors.AsType[*release.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[*release.ParameterError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*store.FullError](err); ok {
		return true
	}
	return false
}
