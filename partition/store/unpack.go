package store

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// A Limit bounds what one archive may unpack to.
type Limit struct {
	Entries int   // default 200,000
	Bytes   int64 // default 8 GiB
}

func (l Limit) withDefaults() Limit {
	if l.Entries == 0 {
		l.Entries = 200_000
	}
	if l.Bytes == 0 {
		l.Bytes = 8 << 30
	}
	return l
}

// merged are the folders that a tree has in usr, with links in their old
// places.
var merged = []string{"bin", "sbin", "lib", "lib64", "lib32", "libx32"}

// merge returns where a path is in a tree.
func merge(name string) string {
	head, _, _ := strings.Cut(name, "/")
	if slices.Contains(merged, head) {
		return "usr/" + name
	}
	return name
}

// dropped tells whether a path is only for reading by people on a computer of
// their own. Licences stay.
func dropped(name string) bool {
	for _, dir := range []string{"man", "info", "lintian", "doc-base", "bug", "menu", "linda"} {
		if strings.HasPrefix(name, "usr/share/"+dir+"/") {
			return true
		}
	}
	rest, isDoc := strings.CutPrefix(name, "usr/share/doc/")
	_, file, inPackage := strings.Cut(rest, "/")
	return isDoc && inPackage && file != "copyright"
}

// An unpacker writes the entries of one archive below root.
type unpacker struct {
	root    *os.Root
	limit   Limit
	entries map[string]Entry
	links   []*tar.Header // second names of files that are still to come
	bytes   int64
	buffer  []byte
}

// unpack writes an archive below root and returns what is there then.
func unpack(archive io.Reader, root *os.Root, limit Limit) (Manifest, error) {
	u := &unpacker{root: root, limit: limit.withDefaults(), entries: map[string]Entry{}, buffer: make([]byte, 128<<10)}
	reader := tar.NewReader(archive)
	for count := 0; ; count++ {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("archive: %w", err)
		}
		if count >= u.limit.Entries {
			return nil, fmt.Errorf("archive: more than %d entries", u.limit.Entries)
		}
		err = u.add(header, reader)
		if errors.Is(err, errLater) {
			u.links, err = append(u.links, header), nil
		}
		if err != nil {
			return nil, fmt.Errorf("archive: entry %.200q: %w", header.Name, err)
		}
	}
	if err := u.linkRest(); err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	manifest := make(Manifest, 0, len(u.entries))
	for _, entry := range u.entries {
		manifest = append(manifest, entry)
	}
	return sortManifest(manifest), nil
}

// add writes one entry of the archive.
func (u *unpacker) add(header *tar.Header, content io.Reader) error {
	name := strings.TrimSuffix(strings.TrimPrefix(header.Name, "./"), "/")
	if name == "" || name == "." {
		return nil
	}
	if err := checkPath(name); err != nil {
		return err
	}
	was := name
	name = merge(name)
	if dropped(name) || header.Typeflag == tar.TypeSymlink && (loops(name, name, header.Linkname) || loops(was, name, header.Linkname)) {
		return nil
	}
	if err := u.parents(path.Dir(name)); err != nil {
		return err
	}
	old, exists := u.entries[name]
	if exists && (old.Kind != Directory || header.Typeflag != tar.TypeDir) {
		return errors.New("is there twice")
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return u.directory(name)
	case tar.TypeReg:
		return u.file(name, header, content)
	case tar.TypeSymlink:
		return u.symlink(name, moved(was, name, header.Linkname))
	case tar.TypeLink:
		return u.link(name, header.Linkname)
	}
	return fmt.Errorf("is neither file, folder nor link (type %q)", header.Typeflag)
}

// loops tells whether a link at a path would point to itself in a tree, where it
// has a name: those that packages have for the old places of what is in usr now.
func loops(at, name, target string) bool {
	if path.IsAbs(target) {
		target = strings.TrimPrefix(path.Clean(target), "/")
	} else {
		target = path.Join(path.Dir(at), target)
	}
	return merge(target) == name
}

// moved returns the target of a link that is elsewhere now, so that it leads to
// what it led to.
func moved(was, name, target string) string {
	if was == name || path.IsAbs(target) {
		return target
	}
	if led := merge(path.Join(path.Dir(was), target)); path.Join(path.Dir(name), target) != led {
		return "/" + led
	}
	return target
}

// parents makes the folders that lead to an entry. Each has to be a real one:
// a link there could lead anywhere.
func (u *unpacker) parents(dir string) error {
	if dir == "." {
		return nil
	}
	switch entry, ok := u.entries[dir]; {
	case ok && entry.Kind == Directory:
		return nil
	case ok:
		return fmt.Errorf("leads through %s, which is not a folder", dir)
	}
	if err := u.parents(path.Dir(dir)); err != nil {
		return err
	}
	return u.directory(dir)
}

func (u *unpacker) directory(name string) error {
	if _, ok := u.entries[name]; ok {
		return nil
	}
	u.entries[name] = Entry{Path: name, Kind: Directory}
	return u.root.Mkdir(name, 0o755)
}

func (u *unpacker) file(name string, header *tar.Header, content io.Reader) (err error) {
	if u.bytes += header.Size; u.bytes > u.limit.Bytes {
		return fmt.Errorf("with it the archive has more than %d bytes", u.limit.Bytes)
	}
	e := Entry{Path: name, Kind: File, Executable: header.Mode&0o111 != 0, Size: header.Size}
	f, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, e.mode())
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	sum := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(f, sum), content, u.buffer)
	if err != nil {
		return err
	}
	if n != header.Size {
		return io.ErrUnexpectedEOF
	}
	e.Sum = sum.Sum(nil)
	u.entries[name] = e
	return f.Chmod(e.mode()) // whatever the umask
}

func (u *unpacker) symlink(name, target string) error {
	if target == "" || len(target) > maxPath || strings.ContainsRune(target, 0) {
		return errors.New("has no sound target")
	}
	u.entries[name] = Entry{Path: name, Kind: Symlink, Target: target}
	return u.root.Symlink(target, name)
}

// errLater says that what a link leads to has not come yet.
var errLater = errors.New("links to what is not there")

// linkRest adds the second names that came before their files.
func (u *unpacker) linkRest() error {
	for len(u.links) > 0 {
		var left []*tar.Header
		for _, header := range u.links {
			switch err := u.add(header, nil); {
			case errors.Is(err, errLater):
				left = append(left, header)
			case err != nil:
				return fmt.Errorf("entry %.200q: %w", header.Name, err)
			}
		}
		if len(left) == len(u.links) {
			return fmt.Errorf("entry %.200q: is a link to %.200q, which is no file: %w", left[0].Name, left[0].Linkname, fs.ErrInvalid)
		}
		u.links = left
	}
	return nil
}

// link adds a second name of a file.
func (u *unpacker) link(name, target string) error {
	target = merge(strings.TrimSuffix(strings.TrimPrefix(target, "./"), "/"))
	e, ok := u.entries[target]
	if !ok {
		return errLater
	}
	if e.Kind != File {
		return fmt.Errorf("is a link to %.200q, which is not a file: %w", target, fs.ErrInvalid)
	}
	e.Path = name
	u.entries[name] = e
	return u.root.Link(target, name)
}
