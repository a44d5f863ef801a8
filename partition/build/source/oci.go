package source

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	registryname "github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/slapmesh/slapmesh/partition/release"
)

// maxLayers bounds an image.
const maxLayers = 256

// image fetches the layers of an image. What its configuration says, such as
// what to run, does not count: the profile says that.
func (f *Fetcher) image(ctx context.Context, s release.Source, report func(Progress)) (Archive, error) {
	ref, err := registryname.NewDigest(s.URL + "@" + s.Digest)
	if err != nil {
		return Archive{}, err
	}
	options := []remote.Option{
		remote.WithContext(ctx), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: f.Arch}), remote.WithUserAgent("slapmesh"),
		remote.WithTransport(f.guard().transport()),
	}
	report(Progress{What: "asking " + ref.RegistryStr()})
	image, err := remote.Image(ref, options...) // it checks the digest
	if err != nil {
		return Archive{}, fmt.Errorf("registry: %w", err)
	}
	layers, err := image.Layers()
	if err != nil {
		return Archive{}, fmt.Errorf("registry: %w", err)
	}
	if len(layers) > maxLayers {
		return Archive{}, fmt.Errorf("%d layers are more than %d", len(layers), maxLayers)
	}
	total := int64(0)
	files := make([]string, len(layers))
	for n, layer := range layers {
		if files[n], err = f.layer(ctx, layer, fmt.Sprintf("downloading layer %d of %d", n+1, len(layers)), report); err != nil {
			return Archive{}, fmt.Errorf("layer %d of %d: %w", n+1, len(layers), err)
		}
		total += size(files[n])
	}
	open := func(context.Context) (io.ReadCloser, error) {
		return write(func(w *tar.Writer) error { return flatten(w, s.Into, files) }), nil
	}
	return Archive{Name: s.URL, Version: s.Digest, Size: total, Open: open}, nil
}

// layer downloads one layer, unless it is there. Its reader checks its digest.
func (f *Fetcher) layer(ctx context.Context, l v1.Layer, what string, report func(Progress)) (string, error) {
	digest, err := l.Digest()
	if err != nil {
		return "", err
	}
	want, err := sha256Sum(digest.Hex)
	if err != nil {
		return "", err
	}
	full := filepath.Join(f.Dir, "downloads", digest.Hex)
	if checkFile(full, want) == nil {
		return full, nil
	}
	for failures := 1; ; failures++ {
		err := f.copyLayer(l, full+".part", what, report)
		if err == nil {
			if err = checkFile(full+".part", want); err == nil {
				return full, os.Rename(full+".part", full)
			}
		}
		if failures == attempts || ctx.Err() != nil {
			return "", errors.Join(err, os.Remove(full+".part"))
		}
		report(Progress{What: "trying again: " + lastLine(err.Error())})
		if err := pause(ctx, failures); err != nil {
			return "", err
		}
	}
}

func (f *Fetcher) copyLayer(l v1.Layer, to, what string, report func(Progress)) (err error) {
	content, err := l.Compressed()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	size, err := l.Size()
	if err != nil {
		return err
	}
	counted := &counter{to: file, size: size, what: what, report: report, clock: f.Clock}
	return counted.copy(content)
}

const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// A covering says which paths of lower layers are not seen.
type covering struct {
	files   map[string]bool // what is there in an upper layer; true: as a folder
	removed map[string]bool // by whiteouts: what is there in lower layers, and all below
	opaque  map[string]bool // folders of which lower layers show nothing
}

// flatten writes what an image has: each path as its uppermost layer has it.
// See https://github.com/opencontainers/image-spec/blob/main/layer.md.
func flatten(w *tar.Writer, folder string, layers []string) error {
	c := covering{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for n, layer := range slices.Backward(layers) {
		file, err := os.Open(layer)
		if err != nil {
			return err
		}
		upper := covering{files: map[string]bool{}, removed: map[string]bool{}, opaque: map[string]bool{}}
		archive, err := openArchive(file, func(h *tar.Header) bool { return c.keep(h, &upper, folder) })
		if err == nil {
			err = errors.Join(copyTar(archive, w, func(*tar.Header) bool { return true }), archive.Close())
		}
		if err != nil {
			return fmt.Errorf("layer %d: %w", n+1, err)
		}
		for _, move := range []struct{ from, to map[string]bool }{{upper.files, c.files}, {upper.removed, c.removed}, {upper.opaque, c.opaque}} {
			maps.Copy(move.to, move.from)
		}
	}
	return nil
}

// keep tells whether an entry is seen, and notes in upper what it covers of the
// layers below its own.
func (c covering) keep(h *tar.Header, upper *covering, folder string) bool {
	name, ok := stripped(h.Name, 0)
	if !ok {
		return false
	}
	plain := strings.TrimSuffix(name, "/")
	switch base := path.Base(plain); {
	case base == opaque:
		upper.opaque[path.Dir(plain)] = true
		return false
	case strings.HasPrefix(base, whiteout):
		upper.removed[path.Join(path.Dir(plain), base[len(whiteout):])] = true
		return false
	}
	if c.covers(plain) {
		return false
	}
	if _, again := upper.files[plain]; again && h.Typeflag != tar.TypeDir {
		return false // the first of a layer counts
	}
	upper.files[plain] = h.Typeflag == tar.TypeDir
	switch h.Typeflag {
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return false // a partition has devices of its own
	}
	h.Name = into(folder, name)
	if h.Typeflag == tar.TypeLink {
		target, _ := stripped(strings.TrimPrefix(h.Linkname, "/"), 0)
		h.Linkname = into(folder, target)
	}
	return true
}

// covers tells whether upper layers hide a path of this one.
func (c covering) covers(name string) bool {
	if folder, ok := c.files[name]; ok {
		return !folder // a folder may have more in it below
	}
	for at := name; ; at = path.Dir(at) {
		if folder, ok := c.files[at]; c.removed[at] || at != name && (ok && !folder || c.opaque[at]) {
			return true
		}
		if at == "." || at == "/" {
			return false
		}
	}
}
