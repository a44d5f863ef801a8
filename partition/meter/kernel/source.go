package kernel

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/slapmesh/slapmesh/partition/meter"
)

// A Partition is the [meter.Source] of one partition. What is not given is
// not measured.
type Partition struct {
	Kernel *Kernel // required

	// PID returns the number of the partition's supervisor, as seen from
	// here, or 0 while none runs. Its descendants are the partition's.
	PID func() int

	// UID is the partition's user, if it has one of its own. That user's
	// processes are the partition's, whoever began them. Zero is none.
	UID int

	// Cgroups are folders of control groups that hold this partition and
	// nothing else: one for version 2, one for each controller in version 1.
	Cgroups []string

	// Folder is what the partition's disk usage is measured in, and Image
	// the folder with the image of its disk, if it has one.
	Folder, Image string

	// Carried returns how many bytes this program has carried for the
	// partition's instance since it began.
	Carried func() uint64

	// Metrics returns what the instance's profile counts. When it cannot, the
	// metrics stay where they are.
	Metrics func(context.Context) (map[string]uint64, error)

	disk atomic.Uint64
}

var _ meter.Walker = (*Partition)(nil)

// Walk implements [meter.Walker].
func (p *Partition) Walk(ctx context.Context) error {
	if p.Folder == "" {
		return nil
	}
	bytes, err := diskUsage(ctx, p.Folder)
	if p.Image != "" {
		image, imageErr := diskUsage(ctx, p.Image)
		bytes, err = plus(bytes, image), errors.Join(err, imageErr)
	}
	if ctx.Err() == nil {
		p.disk.Store(bytes)
	}
	return err
}
