package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
)

// The bounds of a bundle. It lives in the ledger, so it is small.
const (
	MaxBundle      = 1 << 20 // bytes, encoded
	maxBundleFiles = 256
	maxPath        = 240 // bytes in a file's path
)

// Main is the file of a bundle that is the profile itself.
const Main = "release.star"

// A Bundle is a profile with its templates, packed. It never changes, and has
// one encoding, whose digest is the release's name for ever.
type Bundle struct {
	files   map[string][]byte
	encoded []byte
	digest  string
}

// NewBundle packs files, by slash-separated relative path.
func NewBundle(files map[string][]byte) (*Bundle, error) {
	b := &Bundle{files: make(map[string][]byte, len(files))}
	for name, content := range files {
		b.files[name] = bytes.Clone(content)
	}
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	encoded, err := canonical.Marshal(b.files)
	if err != nil {
		return nil, fmt.Errorf("bundle: encode: %w", err)
	}
	if len(encoded) > MaxBundle {
		return nil, fmt.Errorf("bundle: %d bytes are more than the %d that a profile may have", len(encoded), MaxBundle)
	}
	b.encoded = encoded
	sum := sha256.Sum256(encoded)
	b.digest = "sha256:" + hex.EncodeToString(sum[:])
	return b, nil
}

// LoadDir packs all files of a folder. Names that begin with a dot, and what
// is neither file nor folder, are left out.
func LoadDir(dir fs.FS) (*Bundle, error) {
	files, total := map[string][]byte{}, 0
	err := fs.WalkDir(dir, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !entry.Type().IsRegular():
			return nil
		}
		content, err := readFile(dir, name, MaxBundle-total)
		if err != nil {
			return err
		}
		files[name], total = content, total+len(content)
		if len(files) > maxBundleFiles {
			return fmt.Errorf("more than %d files", maxBundleFiles)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("bundle: read folder: %w", err)
	}
	return NewBundle(files)
}

func readFile(dir fs.FS, name string, limit int) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(content) > limit {
		return nil, fmt.Errorf("%s: with it the folder has more than the %d bytes that a profile may have", name, MaxBundle)
	}
	return content, nil
}

// DecodeBundle reads what [Bundle.Encode] wrote, and nothing else: bytes that
// are another encoding of the same files are refused, so that one bundle has
// one digest.
func DecodeBundle(data []byte) (*Bundle, error) {
	if len(data) > MaxBundle {
		return nil, fmt.Errorf("bundle: %d bytes are more than the %d that a profile may have", len(data), MaxBundle)
	}
	var files map[string][]byte
	if err := strict.Unmarshal(data, &files); err != nil {
		return nil, fmt.Errorf("bundle: decode: %w", err)
	}
	b, err := NewBundle(files)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(b.encoded, data) {
		return nil, errors.New("bundle: decode: not in canonical form")
	}
	return b, nil
}

// strict reads nothing ambiguous and nothing large.
var strict = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:       cbor.DupMapKeyEnforcedAPF,
		IndefLength:     cbor.IndefLengthForbidden,
		TagsMd:          cbor.TagsForbidden,
		MaxMapPairs:     maxBundleFiles,
		MaxNestedLevels: 4,
	}.DecMode()
	if err != nil {
		panic("release: " + err.Error())
	}
	return mode
}()

func (b *Bundle) check() error {
	if _, ok := b.files[Main]; !ok {
		return fmt.Errorf("no file %s: every profile has one", Main)
	}
	if len(b.files) > maxBundleFiles {
		return fmt.Errorf("%d files are more than the %d that a profile may have", len(b.files), maxBundleFiles)
	}
	for _, name := range b.Names() {
		if err := checkPath(name); err != nil {
			return fmt.Errorf("file %w", err)
		}
	}
	return nil
}

// checkPath refuses paths that could leave a folder, or that mean different
// things on different systems.
func checkPath(name string) error {
	switch {
	case name == "" || len(name) > maxPath:
		return fmt.Errorf("%.40q: a path has 1 to %d bytes", name, maxPath)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }):
		return fmt.Errorf("%q: a path has no control characters and no backslash", name)
	case !fs.ValidPath(name) || name == "." || path.Clean(name) != name:
		return fmt.Errorf("%q: a path is relative, with plain slashes, and has no empty, . or .. element", name)
	}
	return nil
}

// Encode returns the bundle's one encoding. The caller must not change it.
func (b *Bundle) Encode() []byte { return b.encoded }

// Digest names the bundle, as in "sha256:…".
func (b *Bundle) Digest() string { return b.digest }

// Names returns the paths of all files, sorted.
func (b *Bundle) Names() []string { return slices.Sorted(maps.Keys(b.files)) }

// File returns the content of a file. The caller must not change it.
func (b *Bundle) File(name string) ([]byte, bool) {
	content, ok := b.files[name]
	return content, ok
}
