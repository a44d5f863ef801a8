package build

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/partition/store"
)

// A Config says where a [Builder] works.
type Config struct {
	// Store keeps the trees. Required.
	Store *store.Store
	// Dir keeps the private state of apt, downloads and unpacked packages.
	// Builders of several processes of one user may share it. Trees share files
	// with it when it is on the file system of Store. Required.
	Dir string
	// Etc is where the computer's own configuration of apt is. Default
	// "/etc/apt".
	Etc string
	// Environ is added to the environment of apt, git and go, such as
	// "http_proxy=…".
	Environ []string
	// NPM is the registry that stands in for npm's own. Default: that one.
	NPM string
	// Private allows profiles to name sources that only this computer can reach:
	// addresses of its own network, and its files. Default: they are refused.
	Private bool
	// Refresh is how old the lists of packages may get. Default 24 h.
	Refresh time.Duration
	// Clock tells the time. Required.
	Clock func() time.Time
	// Signer says by whose word a tree is what sources became. Default: nobody's,
	// and then nobody else takes trees from here.
	Signer *Signer
	// Elsewhere is asked for a tree before it is built. Default: nobody.
	Elsewhere Elsewhere
	// Never says that nothing is built here, so that Elsewhere is the only way
	// to a tree.
	Never bool
	// Log gets what is worth knowing about a build. Default: nothing.
	Log *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Store == nil || c.Dir == "" || c.Clock == nil {
		return c, errors.New("build: config: Store, Dir and Clock required")
	}
	var err error
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return c, fmt.Errorf("build: config: Dir: %w", err)
	}
	c.Etc = cmp.Or(c.Etc, "/etc/apt")
	c.Refresh = cmp.Or(c.Refresh, 24*time.Hour)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// A Package is one of the packages, or other sources, that a tree is made of.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"` // of the archive, or of what names another source; hexadecimal
	Size    int64  `json:"size"`   // of the archive
}

// A Tree is what was built.
type Tree struct {
	Digest   string // of the tree's content: equal trees have equal digests
	Path     string // its root, to be mounted read-only
	Packages []Package
}

// A Builder makes trees. It is safe for concurrent use.
type Builder struct {
	cfg      Config
	packages *store.Store
	arch     string

	mu      sync.Mutex
	running map[string]*sync.Mutex // by key of what is being built
}

// Open prepares the folders of a builder. It does not need apt yet, so a
// computer without it can still run what is built.
func Open(cfg Config) (*Builder, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	packages, err := store.Open(filepath.Join(cfg.Dir, "packages"))
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	return &Builder{cfg: cfg, packages: packages, arch: debianArch(), running: map[string]*sync.Mutex{}}, nil
}

// debianArch is what Debian calls this computer's architecture.
func debianArch() string {
	names := map[string]string{"386": "i386", "arm": "armhf", "ppc64le": "ppc64el", "mips64le": "mips64el"}
	return cmp.Or(names[runtime.GOARCH], runtime.GOARCH)
}

// composer is the version of what this package adds to packages. A new one
// makes new trees of old sources.
const composer = 2

// Key names what is to be built: equal sources on one architecture are equal.
func (b *Builder) Key(sources []release.Source) string {
	data, err := json.Marshal(struct {
		Composer int
		Arch     string
		Sources  []release.Source
	}{composer, b.arch, sources})
	if err != nil {
		panic("build: encode sources: " + err.Error()) // our own plain types always encode
	}
	sum := sha256.Sum256(data)
	return "build-" + hex.EncodeToString(sum[:])
}

// Built returns the tree that was built of sources before. It asks no network
// and takes no time.
func (b *Builder) Built(sources []release.Source) (Tree, bool) {
	r, err := b.read(b.Key(sources))
	if err != nil {
		return Tree{}, false
	}
	tree, err := b.cfg.Store.Tree(r.Tree)
	if err != nil {
		return Tree{}, false
	}
	return Tree{tree.Digest, tree.Path, r.Packages}, true
}

// Build returns the tree of sources. What was not built here before is taken
// from elsewhere if somebody has it, and made otherwise. Progress is told to
// report, which may be nil, by one goroutine at a time.
func (b *Builder) Build(ctx context.Context, sources []release.Source, report func(Progress)) (Tree, error) {
	key := b.Key(sources)
	unlock := b.alone(key)
	defer unlock()
	if tree, ok := b.Built(sources); ok {
		return tree, nil
	}
	p := &progress{report: report, clock: b.cfg.Clock}
	tree, err := b.fetch(ctx, key, sources, p)
	if err == nil {
		p.finish()
		return tree, nil
	}
	switch _, full := errors.AsType[*store.FullError](err); {
	case ctx.Err() != nil, full:
		return Tree{}, fmt.Errorf("build: %w", err)
	case b.cfg.Never:
		return Tree{}, fmt.Errorf("build: this computer builds nothing, as its --no-build says: %w", err)
	case !errors.Is(err, ErrNowhere):
		b.cfg.Log.Warn("cannot take a tree from a peer: building it", "err", err)
	}
	tree, err = b.make(ctx, sources, p)
	if err != nil {
		return Tree{}, fmt.Errorf("build: %w", err)
	}
	p.finish()
	b.cfg.Log.Info("release tree built", "packages", len(tree.Packages), "tree", tree.Digest)
	return tree, nil
}

// make builds a tree and records it. A package that has come to harm in the
// store is made anew, each once.
func (b *Builder) make(ctx context.Context, sources []release.Source, p *progress) (Tree, error) {
	for anew := map[string]bool{}; ; {
		tree, packages, err := b.makeOnce(ctx, sources, p)
		if corrupt, ok := errors.AsType[*store.CorruptError](err); ok && !anew[corrupt.Name] {
			b.cfg.Log.Warn("a package came to harm on disk: unpacking it again", "err", err)
			if err := b.packages.RemovePackage(corrupt.Name); err != nil {
				return Tree{}, err
			}
			anew[corrupt.Name] = true
			continue
		}
		if err != nil {
			return Tree{}, err
		}
		r := record{Key: b.Key(sources), Arch: b.arch, Sources: sources, Packages: packages, Tree: tree.Digest, Built: b.cfg.Clock().UTC()}
		return Tree{tree.Digest, tree.Path, packages}, b.write(r)
	}
}

func (b *Builder) makeOnce(ctx context.Context, sources []release.Source, p *progress) (store.Tree, []Package, error) {
	packages, err := b.gather(ctx, sources, p)
	if err != nil {
		return store.Tree{}, nil, err
	}
	p.step(StepCompose, len(packages), 0)
	tree, err := b.compose(ctx, packages, p)
	return tree, packages, err
}

// alone waits until nobody else in this process builds key.
func (b *Builder) alone(key string) (unlock func()) {
	b.mu.Lock()
	lock, ok := b.running[key]
	if !ok {
		lock = &sync.Mutex{}
		b.running[key] = lock
	}
	b.mu.Unlock()
	lock.Lock()
	return lock.Unlock
}

// gather returns the packages that sources need, each unpacked. One process at
// a time does so in a folder: the others then find most of it done.
func (b *Builder) gather(ctx context.Context, sources []release.Source, p *progress) ([]Package, error) {
	p.step(StepIndex, 0, 0)
	unlock, err := store.Lock(ctx, filepath.Join(b.cfg.Dir, "lock"), func() { p.say("waiting for another build on this computer") })
	if err != nil {
		return nil, err
	}
	defer unlock()
	var names []string
	var packages []Package
	for _, s := range sources {
		if s.Kind == release.SourceDebian {
			names = append(names, s.Packages...)
		}
	}
	if len(names) > 0 {
		slices.Sort(names)
		if packages, err = b.gatherDebian(ctx, slices.Compact(names), p); err != nil {
			return nil, err
		}
	}
	others, err := b.gatherOthers(ctx, sources, p)
	return append(packages, others...), err
}

// gatherDebian has apt find and fetch packages. Whoever calls it holds the lock.
func (b *Builder) gatherDebian(ctx context.Context, names []string, p *progress) ([]Package, error) {
	apt, err := b.openApt(ctx)
	if err != nil {
		return nil, err
	}
	if err := apt.refresh(ctx, p); err != nil {
		return nil, err
	}
	p.step(StepResolve, 0, 0)
	packages, err := apt.resolve(ctx, names)
	if err != nil {
		return nil, err
	}
	var missing []Package
	for _, pkg := range packages {
		if !b.packages.HasPackage(pkg.SHA256) {
			missing = append(missing, pkg)
		}
	}
	if len(missing) == 0 {
		return packages, nil
	}
	if err := apt.download(ctx, missing, p); err != nil {
		return nil, err
	}
	if err := b.unpack(ctx, apt, missing, p); err != nil {
		return nil, err
	}
	return packages, apt.clean()
}

// unpack puts downloaded packages into the store.
func (b *Builder) unpack(ctx context.Context, apt *apt, packages []Package, p *progress) error {
	p.step(StepUnpack, len(packages), 0)
	archives := make([]store.Archive, len(packages))
	for n, pkg := range packages {
		archives[n] = store.Archive{Digest: pkg.SHA256, Open: openDeb(apt.archive(pkg))}
	}
	return b.packages.Unpack(ctx, archives, func(store.Archive) { p.advance(1) })
}

// UserDir is the folder that all programs of this user on this computer may
// share as Config.Dir.
func UserDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = filepath.Join(os.TempDir(), fmt.Sprintf("slapd-%d", os.Geteuid()))
	}
	dir = filepath.Join(dir, "slapd", "build")
	if err := os.MkdirAll(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("build: %w", err)
	}
	return dir, nil
}
