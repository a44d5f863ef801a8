package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/slapmesh/slapmesh/partition/build/source"
	"github.com/slapmesh/slapmesh/partition/release"
	"github.com/slapmesh/slapmesh/partition/store"
)

// sourceName names the package that a source becomes: equal sources are equal.
func (b *Builder) sourceName(s release.Source) string {
	data, err := json.Marshal(struct {
		Composer int
		Arch     string
		Source   release.Source
	}{composer, b.arch, s})
	if err != nil {
		panic("build: encode source: " + err.Error()) // our own plain types always encode
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// gatherOthers returns the sources that are no packages of the Debian archive,
// each unpacked. Whoever calls it holds the lock.
func (b *Builder) gatherOthers(ctx context.Context, sources []release.Source, p *progress) ([]Package, error) {
	f := &source.Fetcher{
		Dir: filepath.Join(b.cfg.Dir, "sources"), Clock: b.cfg.Clock, Arch: runtime.GOARCH, NPM: b.cfg.NPM, Environ: b.cfg.Environ, Private: b.cfg.Private,
		Tree: func(ctx context.Context, names ...string) (string, error) { return b.tools(ctx, names, p) },
	}
	var out []Package
	for _, s := range sources {
		if s.Kind == release.SourceDebian {
			continue
		}
		pkg := Package{Name: string(s.Kind), Version: s.Digest, SHA256: b.sourceName(s)}
		if s.URL != "" {
			pkg.Name = s.URL
		}
		if !b.packages.HasPackage(pkg.SHA256) {
			p.step(StepSource, 0, 0)
			archive, err := f.Fetch(ctx, s, func(now source.Progress) { p.part(now.What, now.Bytes, now.Size) })
			if err != nil {
				return nil, err
			}
			p.step(StepUnpack, 1, 0)
			if err := b.packages.Unpack(ctx, []store.Archive{{Digest: pkg.SHA256, Open: archive.Open}}, nil); err != nil {
				return nil, fmt.Errorf("%s %s: %w", s.Kind, pkg.Name, err)
			}
		}
		if unpacked, err := b.packages.Package(pkg.SHA256); err == nil {
			pkg.Size = unpacked.Manifest.Size()
		}
		out = append(out, pkg)
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, f.Clean()
}

// tools returns the root of a tree with packages of the Debian archive, which
// something is built with. Whoever calls it holds the lock.
func (b *Builder) tools(ctx context.Context, names []string, p *progress) (string, error) {
	packages, err := b.gatherDebian(ctx, names, p)
	if err != nil {
		return "", err
	}
	tree, err := b.compose(ctx, packages, p)
	return tree.Path, err
}
