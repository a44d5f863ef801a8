package build

import (
	"context"
	"time"

	"github.com/slapmesh/slapmesh/partition/store"
)

// What is kept for a while although nobody needs it.
const (
	// recent protects what was used lately: somebody may be about to use it.
	recent = time.Hour
	// resumable is how long what has come of a tree waits for the rest.
	resumable = 7 * 24 * time.Hour
)

// Collect removes what nobody needs, of trees and of unpacked packages each
// beyond budget bytes. Trees that are named stay.
func (b *Builder) Collect(ctx context.Context, trees map[string]bool, budget int64) (store.Collected, error) {
	now := b.cfg.Clock()
	keep := store.Keep{Trees: trees, Budget: budget, Since: now.Add(-recent), Partial: now.Add(-resumable)}
	out, err := b.cfg.Store.Collect(ctx, keep)
	if err != nil {
		return out, err
	}
	packages, err := b.packages.Collect(ctx, keep)
	out.Packages += packages.Packages
	out.Files += packages.Files
	out.Bytes += packages.Bytes
	return out, err
}
