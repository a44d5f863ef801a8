package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/catalog"
	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/protocol"
)

// resolved is what the name of a release meant to this peer.
type resolved struct {
	digest ledger.ReleaseDigest
	pinned bool // a version or a digest was named

	// unpublished is what the ledger has to learn first, if anything.
	unpublished *ledger.Publish
}

// resolve finds the release that a request names and makes sure that the
// ledger has its profile.
func (s *service) resolve(ctx context.Context, v *ledger.State, account ledger.AccountName, named string, was ledger.Instance, exists bool) (resolved, error) {
	found, err := s.find(ctx, v, account, named, was, exists)
	if err == nil && found.unpublished != nil {
		_, err = s.propose(ctx, *found.unpublished)
	}
	return found, err
}

// find finds the release that a request names. What is meant by a name alone
// is, in this order: what the instance runs, what the account or an operator
// published, what the catalogue has, what anybody else published.
func (s *service) find(_ context.Context, v *ledger.State, account ledger.AccountName, named string, was ledger.Instance, exists bool) (resolved, error) {
	name, version, versioned := strings.Cut(named, "@")
	switch {
	case named == "" && exists, exists && !versioned && name == was.ReleaseName:
		return resolved{digest: was.Release}, nil
	case named == "":
		return resolved{}, protocol.Errorf(protocol.ErrInvalid, "request: a release is needed for a new instance: see slapd releases")
	case strings.HasPrefix(named, "sha256:"):
		if _, ok := v.Release(ledger.ReleaseDigest(named)); !ok {
			return resolved{}, protocol.Errorf(protocol.ErrNotFound, "release %s: not published", named)
		}
		return resolved{ledger.ReleaseDigest(named), true, nil}, nil
	}
	r, known := knownRelease(v, account, name, version, versioned)
	item, shipped := catalog.Lookup(name)
	ships := shipped && (!versioned || item.Release.Version == version)
	switch {
	case known && (!ships || publisherRank(v, account, r) < othersRelease):
		return resolved{r.Digest, versioned, nil}, nil
	case !shipped:
		return resolved{}, unknownRelease(v, named)
	case !ships:
		return resolved{}, protocol.Errorf(protocol.ErrNotFound, "release %s: version %s is not known; the catalogue has %s@%s", name, version, name, item.Release.Version)
	}
	digest := ledger.ReleaseDigest(item.Bundle.Digest())
	if _, there := v.Release(digest); there {
		return resolved{digest, versioned, nil}, nil
	}
	c := publishing(item.Bundle, item.Release)
	return resolved{digest, versioned, &c}, nil
}

// Whose a release is, for an account that names it. Names are anybody's to
// use: who published one says whom the account has to trust.
const (
	ownRelease = iota
	operatorsRelease
	othersRelease
)

func publisherRank(v *ledger.State, account ledger.AccountName, r ledger.Release) int {
	m, _ := v.Mesh()
	switch r.Publisher {
	case account:
		return ownRelease
	case m.Operator:
		return operatorsRelease
	}
	return othersRelease
}

// knownRelease looks a name, with or without a version, up in the ledger. Of
// several it is the account's own, then an operator's, the latest of these;
// then that of whoever was first.
func knownRelease(v *ledger.State, account ledger.AccountName, name, version string, versioned bool) (ledger.Release, bool) {
	if !versioned {
		return v.ReleaseByName(account, name)
	}
	var best ledger.Release
	found := false
	for r := range v.Releases() {
		if r.Name != name || r.Version != version {
			continue
		}
		rank, bestRank := publisherRank(v, account, r), publisherRank(v, account, best)
		later := r.Published.After(best.Published)
		if !found || rank < bestRank || rank == bestRank && later == (rank != othersRelease) {
			best, found = r, true
		}
	}
	return best, found
}

// unknownRelease says what there is instead.
func unknownRelease(v *ledger.State, named string) error {
	var names []string
	for _, item := range catalog.Items() {
		names = append(names, item.Release.Name)
	}
	for r := range v.Releases() {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > 20 {
		names = append(names[:20], "…")
	}
	return protocol.Errorf(protocol.ErrNotFound, "release %s: not known; there are %s, or give the folder of a profile (./%s)", named, strings.Join(names, ", "), named)
}

// publishing returns the command that puts a profile into the ledger.
func publishing(b *release.Bundle, r *release.Release) ledger.Publish {
	data := b.Encode()
	return ledger.Publish{
		Digest: ledger.DigestOf(data), Profile: data, Name: r.Name, Version: r.Version, Title: r.Title, Types: r.Types, Schema: r.Parameters.JSON(),
	}
}

// Publish implements [protocol.Software].
func (s *service) Publish(ctx context.Context, in protocol.PublishInput) (protocol.Release, error) {
	bundle, err := release.DecodeBundle(in.Profile)
	if err != nil {
		return protocol.Release{}, protocol.Errorf(protocol.ErrInvalid, "publish: %v", err)
	}
	if err := s.taster.Taste(in.Profile, nil); err != nil {
		return protocol.Release{}, protocol.Errorf(protocol.ErrInvalid, "publish: %v", err)
	}
	r, err := release.Load(bundle)
	if err != nil {
		return protocol.Release{}, protocol.Errorf(protocol.ErrInvalid, "publish: %v", err)
	}
	who, err := s.who(s.books.View())
	if err != nil {
		return protocol.Release{}, err
	}
	c := publishing(bundle, r)
	if in.Account != string(who.Account) { // older voters know of no other publisher
		c.Account = ledger.AccountName(in.Account)
	}
	v, err := s.propose(ctx, c)
	if err != nil {
		return protocol.Release{}, err
	}
	published, ok := v.Release(c.Digest)
	if !ok {
		return protocol.Release{}, fmt.Errorf("publish %s: published, but not in the ledger", r.Name)
	}
	return wireRelease(published), nil
}

// Releases implements [protocol.Software].
func (s *service) Releases(context.Context) ([]protocol.Release, error) {
	v := s.books.View()
	if _, err := s.who(v); err != nil {
		return nil, err
	}
	out := []protocol.Release{}
	for r := range v.Releases() {
		out = append(out, wireRelease(r))
	}
	for _, item := range catalog.Items() {
		r := item.Release
		if _, published := v.Release(ledger.ReleaseDigest(item.Bundle.Digest())); !published {
			out = append(out, protocol.Release{
				Name: r.Name, Version: r.Version, Title: r.Title, Digest: item.Bundle.Digest(), Types: r.Types, Parameters: r.Parameters.JSON(),
			})
		}
	}
	sortReleases(out)
	return out, nil
}

// Supplies implements [protocol.Software].
func (s *service) Supplies(context.Context) ([]protocol.Supply, error) {
	v := s.books.View()
	if _, err := s.who(v); err != nil {
		return nil, err
	}
	out := []protocol.Supply{}
	for c := range v.Computers() {
		if !s.may(v, c.Account, ledger.RightRead) {
			continue // what goes wrong there is its owner's business
		}
		for p := range v.Supplies(c.ID) {
			out = append(out, wireSupply(v, p))
		}
	}
	return out, nil
}

// Supply implements [protocol.Software].
func (s *service) Supply(ctx context.Context, in protocol.SupplyInput) (protocol.Supply, error) {
	v := s.books.View()
	account, err := s.account(v, "", ledger.RightAdmin)
	if err != nil {
		return protocol.Supply{}, err
	}
	computer, err := s.computer(v, in.Computer)
	if err != nil {
		return protocol.Supply{}, err
	}
	found, err := s.resolve(ctx, v, account, in.Release, ledger.Instance{}, false)
	if err != nil {
		return protocol.Supply{}, err
	}
	wanted := ledger.SupplyAvailable
	if in.State == protocol.SupplyDestroyed {
		wanted = ledger.SupplyDestroyed
	}
	v, err = s.propose(ctx, ledger.SetSupply{Computer: computer.ID, Release: found.digest, Requested: wanted})
	if err != nil {
		return protocol.Supply{}, err
	}
	p, ok := v.Supply(computer.ID, found.digest)
	if !ok { // dropped already
		p = ledger.Supply{Computer: computer.ID, Release: found.digest, Requested: wanted, State: ledger.SupplyDestroyed, Changed: s.cfg.Clock()}
	}
	return wireSupply(v, p), nil
}

// computer finds a computer by id or name; "" is this peer's own.
func (s *service) computer(v *ledger.State, named string) (ledger.Computer, error) {
	if named == "" {
		named = string(s.mesh.Self())
	}
	if c, ok := v.Computer(ledger.ComputerID(named)); ok {
		return c, nil
	}
	var found []ledger.Computer
	for c := range v.Computers() {
		if c.Name == named {
			found = append(found, c)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return ledger.Computer{}, protocol.Errorf(protocol.ErrNotFound, "computer %s: not known: see slapd computers", named)
	}
	return ledger.Computer{}, protocol.Errorf(protocol.ErrConflict, "computer %s: %d computers are called so: give the id", named, len(found))
}

// A shelf keeps releases that were read once: reading a profile takes longer
// than deciding a command.
type shelf struct {
	mu   sync.Mutex
	read map[ledger.ReleaseDigest]*release.Release
}

// maxShelf bounds a shelf; when it is full it starts anew.
const maxShelf = 256

// loaded returns a release by the digest of its profile.
func (d *Daemon) loaded(ctx context.Context, digest ledger.ReleaseDigest) (*release.Release, error) {
	d.shelf.mu.Lock()
	r, ok := d.shelf.read[digest]
	d.shelf.mu.Unlock()
	if ok {
		return r, nil
	}
	for _, item := range catalog.Items() {
		if ledger.ReleaseDigest(item.Bundle.Digest()) == digest {
			return item.Release, nil
		}
	}
	data, err := d.profile(ctx, digest)
	if err != nil {
		return nil, err
	}
	bundle, err := release.DecodeBundle(data)
	if err != nil {
		return nil, fmt.Errorf("release %s: %w", digest, err)
	}
	if err := d.taster.Taste(data, nil); err != nil {
		return nil, protocol.Errorf(protocol.ErrInvalid, "release %s: %v", digest, err)
	}
	if r, err = release.Load(bundle); err != nil {
		return nil, fmt.Errorf("release %s: %w", digest, err)
	}
	d.shelf.mu.Lock()
	defer d.shelf.mu.Unlock()
	if d.shelf.read == nil || len(d.shelf.read) >= maxShelf {
		d.shelf.read = map[ledger.ReleaseDigest]*release.Release{}
	}
	d.shelf.read[digest] = r
	return r, nil
}

// profile returns the bytes of a release's profile, or refuses in words that
// do for who only asked for an instance.
func (d *Daemon) profile(ctx context.Context, digest ledger.ReleaseDigest) ([]byte, error) {
	fetch, cancel := context.WithTimeout(ctx, leaderPatience)
	defer cancel()
	data, err := d.books.Profile(fetch, digest)
	name := string(digest)
	if r, ok := d.books.View().Release(digest); ok {
		name = r.Name
	}
	switch {
	case err == nil:
		return data, nil
	case ctx.Err() != nil, ledger.CodeOf(err) == ledger.ErrNotFound:
		return nil, fmt.Errorf("release %s: %w", name, err)
	case d.books.hopeless():
		return nil, protocol.Errorf(protocol.ErrUnavailable, "this peer reaches no majority of the voters; nothing has happened: ask again later; %s", stillWorks)
	}
	d.log.Warn("cannot fetch a profile", "release", digest, "err", err)
	return nil, protocol.Errorf(protocol.ErrUnavailable, "release %s: its profile cannot be had from a voter now; nothing has happened: ask again", name)
}
