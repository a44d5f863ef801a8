package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

// A Kind says what an [Entry] is.
type Kind uint8

// The kinds of entries. There are no others in a store.
const (
	Directory Kind = 1
	File      Kind = 2
	Symlink   Kind = 3
)

// An Entry is one path of a package or a tree. Directories have mode 0755,
// programs 0555, other files 0444; there are no owners.
type Entry struct {
	Path       string `cbor:"1,keyasint"` // slash-separated, relative
	Kind       Kind   `cbor:"2,keyasint"`
	Executable bool   `cbor:"3,keyasint,omitempty"` // files
	Target     string `cbor:"4,keyasint,omitempty"` // symlinks
	Sum        []byte `cbor:"5,keyasint,omitempty"` // files: SHA-256 of the content
	Size       int64  `cbor:"6,keyasint,omitempty"` // files
}

// mode returns the permission bits of the entry.
func (e Entry) mode() fs.FileMode {
	switch {
	case e.Kind == Directory:
		return 0o755
	case e.Executable:
		return 0o555
	}
	return 0o444
}

// same tells whether two entries may stand for one another in a tree.
func (e Entry) same(o Entry) bool {
	return e.Kind == o.Kind && e.Executable == o.Executable && e.Target == o.Target && string(e.Sum) == string(o.Sum)
}

// A Manifest lists all of a package or a tree, sorted by path.
type Manifest []Entry

// The bounds of a manifest.
const (
	maxEntries  = 1 << 20
	maxPath     = 4096
	maxElement  = 255
	maxFile     = 1 << 40   // bytes
	maxManifest = 512 << 20 // bytes, encoded
)

// Digest names the content: equal trees have equal digests, whatever they
// were made of.
func (m Manifest) Digest() string {
	sum := sha256.Sum256(m.encode())
	return hex.EncodeToString(sum[:])
}

// Size returns the bytes in all files.
func (m Manifest) Size() int64 {
	total := int64(0)
	for _, e := range m {
		total += e.Size
	}
	return total
}

func (m Manifest) encode() []byte {
	data, err := canonical.Marshal(m)
	if err != nil {
		panic("store: encode manifest: " + err.Error()) // our own plain types always encode
	}
	return data
}

// decodeManifest reads what encode wrote, and checks that it can be trusted
// to stay within a folder.
func decodeManifest(data []byte) (Manifest, error) {
	if len(data) > maxManifest {
		return nil, fmt.Errorf("manifest: %d bytes are too many", len(data))
	}
	var m Manifest
	if err := strict.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("manifest: decode: %w", err)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

func (m Manifest) check() error {
	kinds := make(map[string]Kind, len(m))
	last := ""
	for _, e := range m {
		if err := checkPath(e.Path); err != nil {
			return err
		}
		if e.Path <= last {
			return fmt.Errorf("%q does not follow %q", e.Path, last)
		}
		last = e.Path
		kinds[e.Path] = e.Kind
		parent := path.Dir(e.Path)
		switch {
		case parent != "." && kinds[parent] != Directory:
			return fmt.Errorf("%q is in what is not a directory of the manifest", e.Path)
		case e.Kind < Directory || e.Kind > Symlink:
			return fmt.Errorf("%q has unknown kind %d", e.Path, e.Kind)
		case e.Kind == File && (len(e.Sum) != sha256.Size || e.Size < 0 || e.Size > maxFile || e.Target != ""):
			return fmt.Errorf("%q is not a sound file", e.Path)
		case e.Kind == Symlink && (e.Target == "" || len(e.Target) > maxPath):
			return fmt.Errorf("%q is not a sound link", e.Path)
		case e.Kind != File && (len(e.Sum) > 0 || e.Size != 0 || e.Executable):
			return fmt.Errorf("%q has the content of a file", e.Path)
		}
	}
	return nil
}

// checkPath refuses what does not name exactly one place within a folder.
func checkPath(name string) error {
	if name == "." || !fs.ValidPath(name) || strings.ContainsRune(name, 0) || len(name) > maxPath {
		return fmt.Errorf("%.200q does not stay within the package", name)
	}
	for element := range strings.SplitSeq(name, "/") {
		if len(element) > maxElement {
			return errors.New("a name is longer than 255 bytes")
		}
	}
	return nil
}

// sortManifest puts entries in the order of a manifest.
func sortManifest(entries []Entry) Manifest {
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return entries
}

var canonical = func() cbor.EncMode {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic("store: " + err.Error())
	}
	return mode
}()

var strict = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		MaxArrayElements: maxEntries,
		MaxNestedLevels:  4,
	}.DecMode()
	if err != nil {
		panic("store: " + err.Error())
	}
	return mode
}()
