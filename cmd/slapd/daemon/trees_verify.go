package daemon

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/partition/store"
	"github.com/slapmesh/slapmesh/protocol"
)

// VerifyReleases implements [protocol.Software].
func (s *service) VerifyReleases(ctx context.Context, in protocol.VerifyReleasesInput) ([]protocol.VerifiedTree, error) {
	v := s.books.View()
	self, _ := v.Peer(ledger.PeerID(s.mesh.Self()))
	if who, err := s.who(v); err != nil || s.caller.remote || !who.Operator && who.Account != self.Account {
		return nil, protocol.Errorf(protocol.ErrForbidden, "verify: for operators of the mesh and for %s, to whom this peer belongs", self.Account)
	}
	if s.trees == nil {
		return nil, protocol.Errorf(protocol.ErrNotFound, "verify: this peer is no computer: it has no releases")
	}
	if !s.trees.verifying.TryLock() {
		return nil, protocol.Errorf(protocol.ErrConflict, "verify: it is being done already")
	}
	defer s.trees.verifying.Unlock()
	return s.trees.verify(ctx, in.Repair)
}

// verify reads every tree of the store, and mends what is damaged if it may.
func (t *trees) verify(ctx context.Context, repair bool) ([]protocol.VerifiedTree, error) {
	of, err := t.made(ctx)
	if err != nil {
		return nil, err
	}
	digests, err := t.store.Trees()
	if err != nil {
		return nil, err
	}
	for digest := range of { // what is gone is damaged, too
		if !slices.Contains(digests, digest) {
			digests = append(digests, digest)
		}
	}
	slices.Sort(digests)
	out := []protocol.VerifiedTree{}
	for _, digest := range digests {
		checked, err := t.verifyOne(ctx, digest, of[digest], repair)
		if err != nil {
			return out, err
		}
		out = append(out, checked)
	}
	if repair { // what no tree has now, but one may be made of
		_, err = t.store.Repair(ctx)
	}
	return out, err
}

// made lists the releases that the ledger orders here, by the digest of the
// tree that each became.
func (t *trees) made(ctx context.Context) (map[string][]*release.Release, error) {
	out := map[string][]*release.Release{}
	for _, digest := range orderedOn(t.books.View(), ledger.ComputerID(t.mesh.Self())) {
		r, err := t.loaded(ctx, digest)
		if err != nil {
			return nil, err
		}
		if tree, ok := t.builder.Recorded(r.Sources); ok {
			out[tree] = append(out[tree], r)
		}
	}
	return out, nil
}

func (t *trees) verifyOne(ctx context.Context, digest string, of []*release.Release, repair bool) (protocol.VerifiedTree, error) {
	out := protocol.VerifiedTree{Tree: digest, Releases: []string{}, Damage: []protocol.Damage{}, State: protocol.TreeSound}
	for _, r := range of {
		out.Releases = append(out.Releases, r.Name)
	}
	found, err := t.store.Inspect(ctx, digest)
	if errors.Is(err, fs.ErrNotExist) {
		found.Faults, err = []store.Fault{{What: "all of it is missing"}}, nil
	}
	if err != nil {
		return out, err
	}
	out.Files, out.Bytes = found.Files, found.Bytes
	for _, f := range found.Faults {
		out.Damage = append(out.Damage, protocol.Damage{Path: f.Path, What: f.What})
	}
	if len(out.Damage) == 0 {
		return out, nil
	}
	out.State = protocol.TreeDamaged
	t.log.Warn("a release came to harm on disk", "tree", digest, "releases", out.Releases, "path", out.Damage[0].Path, "what", out.Damage[0].What, "repair", repair)
	if repair {
		out.State, out.Reason = t.repair(ctx, digest, of, found.Faults)
	}
	return out, ctx.Err()
}

// repair mends a tree, or removes one that nobody needs.
func (t *trees) repair(ctx context.Context, digest string, of []*release.Release, faults []store.Fault) (protocol.TreeState, string) {
	if len(of) == 0 {
		needed, err := t.needed(ctx)
		if err == nil && needed[digest] {
			err = errors.New("its release is not ordered here any more, but an instance is left of it: destroy that")
		}
		if err == nil {
			err = t.store.RemoveTree(digest)
		}
		if err != nil {
			return protocol.TreeDamaged, err.Error()
		}
		return protocol.TreeRemoved, "nobody needs it"
	}
	made, err := t.builder.Mend(ctx, of[0].Sources, digest, faults)
	switch {
	case err != nil:
		return protocol.TreeDamaged, err.Error()
	case made.Digest != digest:
		return protocol.TreeReplaced, "its sources give another tree today, " + made.Digest + ": instances have that when they are started again"
	}
	return protocol.TreeRepaired, ""
}
