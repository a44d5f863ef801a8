package partition

import (
	"context"
	"path/filepath"

	"github.com/slapmesh/slapmesh/partition/sandbox"
)

// Supervisor returns what runs in a partition, or [supervisor.ErrNotRunning].
// It must be closed.
func (c *Computer) Supervisor(ctx context.Context, partition int) (*sandbox.Running, error) {
	return c.Walls.Find(ctx, c.folder(partition))
}

// Data returns the folder that grows with what the instance in a partition
// keeps. It may not be there.
func (c *Computer) Data(partition int) string {
	return filepath.Join(c.folder(partition), sandbox.DataFolder)
}

// Image returns the folder with the image of the disk of a partition. Those
// without a disk of their own have none.
func (c *Computer) Image(partition int) string {
	return filepath.Join(c.folder(partition), sandbox.ImageFolder)
}
