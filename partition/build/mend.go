package build

import (
	"context"

	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/partition/store"
)

// Recorded returns the digest of the tree that sources became here, whether it
// is still there and sound or not.
func (b *Builder) Recorded(sources []release.Source) (digest string, ok bool) {
	r, err := b.read(b.Key(sources))
	return r.Tree, err == nil && r.Tree != ""
}

// Mend makes a damaged tree again, from peers or from its sources, and puts it
// right in its place. Until that is done nothing new is started from it.
func (b *Builder) Mend(ctx context.Context, sources []release.Source, digest string, faults []store.Fault) (Tree, error) {
	if err := b.cfg.Store.Condemn(digest, faults); err != nil {
		return Tree{}, err
	}
	return b.Build(ctx, sources, nil)
}
