package partition

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/partition/build"
	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/partition/sandbox"
	"github.com/slapmesh/slapmesh/partition/store"
	"github.com/slapmesh/slapmesh/partition/supervisor"
	"github.com/slapmesh/slapmesh/partition/taste"
)

// A Computer is the [Host] that really is one: this computer.
type Computer struct {
	// Dir is the state folder; partitions are in it. Required.
	Dir     string
	Walls   *sandbox.Host // required
	Store   *store.Store  // required; the builder's trees are in it
	Builder Builder       // required
	Log     *slog.Logger  // required

	// Egress says that the owner of this computer lets instances out to the
	// Internet whose releases ask for it.
	Egress bool

	// Taster tries profiles before they are read and evaluated here. Nil
	// trusts them all.
	Taster *taste.Taster

	// Mover brings the data of instances that move here. Nil brings none.
	Mover Mover

	mu       sync.Mutex
	releases map[ledger.ReleaseDigest]*release.Release // those loaded lately
}

// A Builder makes trees of sources. *[build.Builder] is one.
type Builder interface {
	// Built returns the tree that was built of sources before.
	Built(sources []release.Source) (build.Tree, bool)

	// Build returns the tree of sources, and makes it if need be.
	Build(ctx context.Context, sources []release.Source, report func(build.Progress)) (build.Tree, error)
}

// maxLoaded bounds the releases that are kept loaded.
const maxLoaded = 64

func (c *Computer) partitions() string { return filepath.Join(c.Dir, "partitions") }

func (c *Computer) folder(partition int) string {
	return filepath.Join(c.partitions(), ledger.PartitionName(partition))
}

// load reads a profile, or remembers having read it.
func (c *Computer) load(profile []byte) (*release.Release, error) {
	digest := ledger.DigestOf(profile)
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.releases[digest]; ok {
		return r, nil
	}
	bundle, err := release.DecodeBundle(profile)
	if err != nil {
		return nil, err
	}
	if err := c.Taster.Taste(profile, nil); err != nil {
		return nil, err
	}
	r, err := release.Load(bundle)
	if err != nil {
		return nil, err
	}
	if c.releases == nil || len(c.releases) >= maxLoaded {
		c.releases = make(map[ledger.ReleaseDigest]*release.Release)
	}
	c.releases[digest] = r
	return r, nil
}

// Look implements [Host].
func (c *Computer) Look(ctx context.Context) (map[int]Place, error) {
	entries, err := os.ReadDir(c.partitions())
	if errors.Is(err, os.ErrNotExist) {
		return map[int]Place{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at partitions: %w", err)
	}
	places := make(map[int]Place)
	for _, e := range entries {
		n, err := strconv.Atoi(strings.TrimPrefix(e.Name(), "p"))
		if err != nil || ledger.PartitionName(n) != e.Name() {
			continue
		}
		var r record
		if err := readJSON(recordFile(c.folder(n)), &r); err != nil {
			c.Log.Warn("partition's record is unreadable", "partition", n, "err", err)
		}
		running, err := c.Walls.Find(ctx, c.folder(n))
		if err == nil {
			_ = running.Close()
		}
		places[n] = Place{Instance: r.Instance, Release: r.Release, From: r.From, Running: err == nil}
	}
	return places, nil
}

// Built implements [Host].
func (c *Computer) Built(profile []byte) (tree string, ok bool) {
	r, err := c.load(profile)
	if err != nil {
		return "", false
	}
	t, ok := c.Builder.Built(r.Sources)
	return t.Digest, ok
}

// Build implements [Host].
func (c *Computer) Build(ctx context.Context, profile []byte, progress func(string)) (tree string, err error) {
	r, err := c.load(profile)
	if err != nil {
		return "", err
	}
	t, err := c.Builder.Build(ctx, r.Sources, func(p build.Progress) {
		if progress != nil {
			progress(p.String())
		}
	})
	return t.Digest, err
}

// Drop implements [Host].
func (c *Computer) Drop(_ context.Context, tree string) error { return c.Store.RemoveTree(tree) }

// Start implements [Host].
func (c *Computer) Start(ctx context.Context, s Start) (Result, error) {
	i := s.Instance
	r, err := c.load(s.Profile)
	if err != nil {
		return Result{}, err
	}
	if err := c.letsOut(r); err != nil {
		return Result{}, err
	}
	t, err := c.Store.Tree(s.Tree)
	if err != nil {
		return Result{}, err
	}
	folder := c.folder(i.Partition)
	if err := c.claim(folder, i); err != nil {
		return Result{}, err
	}
	desired, err := c.evaluate(r, s, folder)
	if err != nil {
		return Result{}, err
	}
	spec, err := specOf(desired, c.Walls.Root(folder), i.Address)
	if err != nil {
		return Result{}, err
	}
	if err := c.apply(ctx, sandbox.Partition{Folder: folder, Tree: t.Path, Limits: limitsOf(i.Needs), Disk: i.Needs.Disk, Egress: r.Egress && c.Walls.OwnNetwork()}, spec); err != nil {
		return Result{}, err
	}
	result := Result{Spec: spec.Hash(), Connection: desired.Published, Ports: desired.Ports, UDP: desired.UDP, Metrics: desired.Metrics, Requests: desired.Requests}
	if result.Connection == nil {
		result.Connection = map[string]string{}
	}
	if desired.Shared != nil {
		result.Shared = make(map[ledger.InstanceID]release.Served, len(desired.Shared))
	}
	for id, served := range desired.Shared {
		result.Shared[ledger.InstanceID(id)] = served
	}
	return result, nil
}

// claim writes down whose the folder is, before anything is put there.
func (c *Computer) claim(folder string, i ledger.Instance) error {
	var have record
	if err := readJSON(recordFile(folder), &have); err != nil {
		return err
	}
	if have.Instance != 0 && have.Instance != i.ID {
		return fmt.Errorf("partition p%d: it holds instance %s", i.Partition, have.Instance)
	}
	want := record{Instance: i.ID, Release: i.Release, From: have.From}
	if have == want {
		return nil
	}
	if err := c.Walls.Prepare(folder); err != nil {
		return err
	}
	return writeJSON(recordFile(folder), want)
}

// evaluate asks the profile what the instance should be.
func (c *Computer) evaluate(r *release.Release, s Start, folder string) (release.Desired, error) {
	keys, err := openSecrets(folder)
	if err != nil {
		return release.Desired{}, err
	}
	i := s.Instance
	in := release.Input{
		Type: i.Type, Parameters: i.Parameters, Reference: string(i.Reference), Address: i.Address,
		Root: c.Walls.Root(folder), Secret: keys.get,
	}
	for _, shared := range s.Shared {
		in.Shared = append(in.Shared, release.Shared{
			ID: uint64(shared.ID), Reference: string(shared.Reference), Parameters: shared.Parameters,
			Started: shared.Requested == ledger.InstanceStarted,
		})
	}
	in.Children = childInputs(s.Children)
	for _, id := range s.Gone {
		in.Gone = append(in.Gone, uint64(id))
	}
	err = c.Taster.Taste(s.Profile, &taste.Input{
		Type: in.Type, Parameters: in.Parameters, Reference: in.Reference, Address: in.Address, Root: in.Root,
		Secrets: keys.values, Seed: keys.seed, Shared: in.Shared, Gone: in.Gone, Children: in.Children,
	})
	if err != nil {
		return release.Desired{}, err
	}
	desired, err := r.Evaluate(in)
	if err != nil {
		return release.Desired{}, err
	}
	return desired, keys.keep()
}

// apply tells the partition's supervisor, which is launched if need be, what
// the partition should be.
func (c *Computer) apply(ctx context.Context, p sandbox.Partition, spec supervisor.Spec) error {
	for {
		running, err := c.Walls.Launch(ctx, p)
		if err != nil {
			return err
		}
		err = running.Apply(ctx, spec)
		if errors.Is(err, supervisor.ErrStopping) { // somebody stopped it before: another is launched when it has ended
			err = running.Wait(ctx)
			_ = running.Close()
			if err != nil {
				return err
			}
			continue
		}
		return errors.Join(err, running.Close())
	}
}

// Stop implements [Host].
func (c *Computer) Stop(ctx context.Context, partition int) error {
	running, err := c.Walls.Find(ctx, c.folder(partition))
	if errors.Is(err, supervisor.ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = running.Close() }()
	if err := running.Stop(ctx, 0); err != nil && !errors.Is(err, supervisor.ErrNotRunning) {
		return err
	}
	return running.Wait(ctx)
}

// Destroy implements [Host].
func (c *Computer) Destroy(ctx context.Context, partition int) error {
	return c.Walls.Destroy(ctx, c.folder(partition))
}

// Clear destroys all that is in any partition. No agent may run meanwhile.
func (c *Computer) Clear(ctx context.Context) error {
	places, err := c.Look(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for n := range places {
		errs = append(errs, c.Destroy(ctx, n))
	}
	return errors.Join(errs...)
}

// find returns the supervisor of an instance that is here.
func (c *Computer) find(ctx context.Context, i ledger.Instance) (*sandbox.Running, error) {
	if err := c.holds(i); err != nil {
		return nil, err
	}
	return c.Walls.Find(ctx, c.folder(i.Partition))
}

// holds says whether the instance's partition has its data.
func (c *Computer) holds(i ledger.Instance) error {
	var r record
	if err := readJSON(recordFile(c.folder(i.Partition)), &r); err != nil {
		return err
	}
	if r.Instance != i.ID {
		return fmt.Errorf("%s: %w", i.Reference, ErrNotHere)
	}
	return nil
}

// Exec implements [Host].
func (c *Computer) Exec(ctx context.Context, i ledger.Instance, e supervisor.Exec) (int, error) {
	running, err := c.find(ctx, i)
	if errors.Is(err, supervisor.ErrNotRunning) {
		return 0, fmt.Errorf("%s: it does not run: %s", i.Reference, cmp.Or(i.Reason, "requested "+string(i.Requested)))
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = running.Close() }()
	return running.Exec(ctx, e)
}
