package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// A Receiver makes a tree of files that come from elsewhere, in any order and
// over several attempts: what has come is kept until the tree is whole or
// discarded. Nobody sees the tree before. Its methods may be called at the same
// time for different files.
type Receiver struct {
	store    *Store
	digest   string
	manifest Manifest
	dir      string
	unlock   func()
}

// A WrongError says that what came is not what was asked for.
type WrongError struct{ Path string }

func (e *WrongError) Error() string {
	return fmt.Sprintf("%s: what came is not what the manifest says", e.Path)
}

// A Want is a file that a tree still lacks. Several paths of one content are
// one Want.
type Want struct {
	Index int // of the entry in the manifest
	Entry Entry
	Have  int64 // bytes that came in an earlier attempt
}

// Receive begins, or goes on with, the tree of a digest. The manifest is what
// [Store.TreeManifest] encodes to; one that does not have the digest is
// refused.
func (s *Store) Receive(ctx context.Context, digest string, manifest []byte) (*Receiver, error) {
	if err := checkDigest(digest); err != nil {
		return nil, fmt.Errorf("store %s: tree: %w", s.dir, err)
	}
	if sum := sha256.Sum256(manifest); hex.EncodeToString(sum[:]) != digest {
		return nil, fmt.Errorf("tree %.12s: %w", digest, &WrongError{manifestName})
	}
	m, err := decodeManifest(manifest)
	if err != nil {
		return nil, fmt.Errorf("tree %.12s: %w", digest, err)
	}
	r := &Receiver{store: s, digest: digest, manifest: m, dir: filepath.Join(s.dir, partialDir, digest)}
	if r.unlock, err = Lock(ctx, r.dir+lockSuffix, nil); err != nil {
		return nil, s.explain(err)
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		r.unlock()
		return nil, s.explain(err)
	}
	return r, nil
}

// Close ends the attempt. What has come is kept for the next one.
func (r *Receiver) Close() { r.unlock() }

// Discard removes what has come. The Receiver is still to be closed.
func (r *Receiver) Discard() error {
	return r.store.explain(errors.Join(os.RemoveAll(r.dir), ignoreMissing(os.Remove(r.dir+lockSuffix))))
}

// Size returns the bytes of all content of the tree, each counted once.
func (r *Receiver) Size() int64 {
	total := int64(0)
	for _, w := range r.contents() {
		total += w.Entry.Size
	}
	return total
}

// contents lists each content of the tree once.
func (r *Receiver) contents() []Want {
	var out []Want
	seen := map[string]bool{}
	for n, e := range r.manifest {
		if e.Kind == File && !seen[contentName(e)] {
			seen[contentName(e)] = true
			out = append(out, Want{Index: n, Entry: e})
		}
	}
	return out
}

// Wants lists what is missing, in the order of the manifest. What an earlier
// attempt left is read and checked first, and removed if it is wrong.
func (r *Receiver) Wants(ctx context.Context) ([]Want, error) {
	var out []Want
	for _, w := range r.contents() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if info, err := os.Lstat(r.store.shared(w.Entry)); err == nil && info.Size() == w.Entry.Size {
			continue
		}
		done := r.name(w.Entry)
		switch err := checkFile(w.Entry, done); {
		case err == nil:
			continue
		case errors.Is(err, fs.ErrNotExist):
		default:
			if err := os.Remove(done); err != nil {
				return nil, r.store.explain(err)
			}
		}
		if info, err := os.Lstat(done + partSuffix); err == nil {
			w.Have = min(info.Size(), w.Entry.Size)
		}
		out = append(out, w)
	}
	return out, r.makeRoom(out)
}

// makeRoom refuses to begin what cannot be finished.
func (r *Receiver) makeRoom(wants []Want) error {
	need := int64(16 << 20)
	for _, w := range wants {
		need += w.Entry.Size - w.Have
	}
	free, files, err := Free(r.store.dir)
	if err == nil && (free < need || files < int64(len(r.manifest))) {
		return r.store.explain(fmt.Errorf("tree %.12s: %.1f MiB and %d files are still to come: %w",
			r.digest, float64(need)/(1<<20), len(r.manifest), errFull))
	}
	return r.store.explain(err)
}

const partSuffix = ".part"

func (r *Receiver) name(e Entry) string { return filepath.Join(r.dir, contentName(e)) }

// An Incoming is a file on its way. It is checked as it comes.
type Incoming struct {
	receiver *Receiver
	entry    Entry
	file     *os.File
	sum      hash.Hash
	have     int64
}

// Open begins a file, or goes on with it where an earlier attempt ended.
func (r *Receiver) Open(w Want) (*Incoming, error) {
	f, err := os.OpenFile(r.name(w.Entry)+partSuffix, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, r.store.explain(err)
	}
	in := &Incoming{receiver: r, entry: w.Entry, file: f, sum: sha256.New()}
	in.have, err = io.Copy(in.sum, f)
	if err == nil && in.have > w.Entry.Size {
		err = in.Restart()
	}
	if err != nil {
		return nil, r.store.explain(errors.Join(err, f.Close()))
	}
	return in, nil
}

// Have returns how many bytes of the file are there.
func (in *Incoming) Have() int64 { return in.have }

// Write adds what came. More than the file has is refused.
func (in *Incoming) Write(p []byte) (int, error) {
	if int64(len(p)) > in.entry.Size-in.have {
		return 0, &WrongError{in.entry.Path}
	}
	n, err := in.file.Write(p)
	in.sum.Write(p[:n])
	in.have += int64(n)
	return n, in.receiver.store.explain(err)
}

// Restart forgets what has come.
func (in *Incoming) Restart() error {
	in.sum.Reset()
	in.have = 0
	_, err := in.file.Seek(0, io.SeekStart)
	return in.receiver.store.explain(errors.Join(err, in.file.Truncate(0)))
}

// Finish checks the whole file and keeps it. When it is wrong it is forgotten
// and the error is a [*WrongError].
func (in *Incoming) Finish() error {
	if in.have != in.entry.Size || !bytes.Equal(in.sum.Sum(nil), in.entry.Sum) {
		return errors.Join(&WrongError{in.entry.Path}, in.Restart())
	}
	err := in.file.Chmod(in.entry.mode())
	if err == nil {
		err = os.Rename(in.file.Name(), in.receiver.name(in.entry))
	}
	return in.receiver.store.explain(err)
}

// Close ends the attempt. What has come is kept.
func (in *Incoming) Close() error { return in.file.Close() }

// Commit reads all that has come once more, makes the tree durable and gives it
// its name. The error is a [*WrongError] when something came to harm meanwhile.
func (r *Receiver) Commit(ctx context.Context) (Tree, error) {
	c, err := r.store.Compose()
	if err != nil {
		return Tree{}, err
	}
	defer c.Close()
	for _, e := range r.manifest {
		if err := ctx.Err(); err != nil {
			return Tree{}, err
		}
		err := c.place(e, r.name(e))
		if errors.Is(err, errWrong) || errors.Is(err, fs.ErrNotExist) {
			err = errors.Join(&WrongError{e.Path}, ignoreMissing(os.Remove(r.name(e))))
		}
		if err != nil {
			return Tree{}, c.explain(e.Path, err)
		}
	}
	tree, err := c.Commit()
	if err != nil {
		return Tree{}, err
	}
	if tree.Digest != r.digest {
		return Tree{}, fmt.Errorf("tree %.12s: %w", r.digest, &WrongError{manifestName})
	}
	return tree, r.Discard()
}

// EncodedManifest returns the bytes whose SHA-256 is the digest of a tree.
func (s *Store) EncodedManifest(digest string) ([]byte, Manifest, error) {
	_, m, err := s.read(treesDir, digest)
	if err != nil {
		return nil, nil, err
	}
	data := m.encode()
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != digest {
		return nil, nil, fmt.Errorf("store %s: %w", s.dir, &CorruptError{"tree", digest, manifestName})
	}
	return data, m, nil
}

// OpenFile opens a file of a tree for reading.
func (s *Store) OpenFile(digest string, e Entry) (*os.File, error) {
	if err := errors.Join(checkDigest(digest), checkPath(e.Path)); err != nil {
		return nil, fmt.Errorf("store %s: tree: %w", s.dir, err)
	}
	root, err := os.OpenRoot(filepath.Join(s.dir, treesDir, digest, rootName))
	if err != nil {
		return nil, fmt.Errorf("store %s: tree %.12s: %w", s.dir, digest, err)
	}
	defer func() { _ = root.Close() }()
	return root.Open(e.Path)
}
