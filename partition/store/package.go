package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// A Package is an unpacked archive.
type Package struct {
	Digest   string // SHA-256 of the archive
	Dir      string // its files
	Manifest Manifest
}

// An Archive is a package that is still packed.
type Archive struct {
	Digest string // its name in the store
	Limit  Limit  // zero: the defaults
	// Open starts reading it, as a tar archive. The caller has checked that its
	// bytes have the digest. Close reports what went wrong in unpacking.
	Open func(context.Context) (io.ReadCloser, error)
}

// Package returns the package of a digest. The error is fs.ErrNotExist when
// it is not there, and a [*CorruptError] when what lists its files came to harm.
func (s *Store) Package(digest string) (Package, error) {
	dir, manifest, err := s.read(packagesDir, digest)
	if err != nil {
		return Package{}, err
	}
	switch want, err := readFile(filepath.Join(dir, sumName), 2*sha256.Size); {
	case errors.Is(err, fs.ErrNotExist): // an older program unpacked it
	case err != nil:
		return Package{}, fmt.Errorf("store %s: package %.12s: %w", s.dir, digest, err)
	case manifest.Digest() != string(want):
		return Package{}, fmt.Errorf("store %s: %w", s.dir, &CorruptError{"package", digest, manifestName})
	}
	s.touch(filepath.Join(packagesDir, digest))
	return Package{digest, filepath.Join(dir, filesName), manifest}, nil
}

// HasPackage tells whether the package of a digest is there.
func (s *Store) HasPackage(digest string) bool {
	if !s.has(packagesDir, digest) {
		return false
	}
	s.touch(filepath.Join(packagesDir, digest))
	return true
}

func (s *Store) has(kind, digest string) bool {
	if checkDigest(digest) != nil {
		return false
	}
	return whole(kind, filepath.Join(s.dir, kind, digest))
}

// whole tells whether a folder has all that is read before its files are.
func whole(kind, dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, manifestName))
	if err == nil && kind == treesDir {
		_, damaged := os.Lstat(filepath.Join(dir, damagedName))
		return errors.Is(damaged, fs.ErrNotExist)
	}
	return err == nil
}

// read returns the folder and the manifest of what has a name.
func (s *Store) read(kind, digest string) (string, Manifest, error) {
	if err := checkDigest(digest); err != nil {
		return "", nil, fmt.Errorf("store %s: %s: %w: %w", s.dir, kind, err, fs.ErrNotExist)
	}
	dir := filepath.Join(s.dir, kind, digest)
	data, err := readFile(filepath.Join(dir, manifestName), maxManifest)
	if err != nil {
		return "", nil, fmt.Errorf("store %s: %s %.12s: %w", s.dir, kind, digest, err)
	}
	manifest, err := decodeManifest(data)
	if err != nil {
		return "", nil, fmt.Errorf("store %s: %w: %w", s.dir, &CorruptError{kind, digest, manifestName}, err)
	}
	return dir, manifest, nil
}

// Unpack adds packages: all that are not there yet, a few at a time. It syncs
// the disk once for all of them, so either all get their names or, when
// something fails, none. done is called as each is unpacked, by one goroutine
// at a time; it may be nil.
func (s *Store) Unpack(ctx context.Context, archives []Archive, done func(Archive)) error {
	t, err := s.stage()
	if err != nil {
		return s.explain(err)
	}
	defer t.discard()
	finished := make(chan Archive)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0) + 1)
	group.Go(func() error {
		for range archives {
			select {
			case a := <-finished:
				if done != nil {
					done(a)
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	seen := map[string]bool{}
	for n, a := range archives {
		if err := checkDigest(a.Digest); err != nil {
			group.Go(func() error { return err })
			break
		}
		skip := seen[a.Digest] || s.HasPackage(a.Digest)
		seen[a.Digest] = true
		group.Go(func() error {
			if !skip {
				if err := unpackOne(ctx, a, filepath.Join(t.dir, fmt.Sprint(n))); err != nil {
					return fmt.Errorf("unpack %.12s: %w", a.Digest, err)
				}
			}
			select {
			case finished <- a:
			case <-ctx.Done():
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return s.explain(err)
	}
	return s.explain(s.publishPackages(t, archives))
}

// publishPackages gives all packages in staging their names.
func (s *Store) publishPackages(t *staging, archives []Archive) error {
	if err := syncAll(t.dir); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	for n, a := range archives {
		from := filepath.Join(t.dir, fmt.Sprint(n))
		if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
			continue // was there before
		}
		if err := t.publish(from, packagesDir, a.Digest); err != nil {
			return err
		}
	}
	return syncDir(filepath.Join(s.dir, packagesDir))
}

// unpackOne makes the folder of one package.
func unpackOne(ctx context.Context, a Archive, dir string) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	files := filepath.Join(dir, filesName)
	if err := os.MkdirAll(files, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(files)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	archive, err := a.Open(ctx)
	if err != nil {
		return err
	}
	manifest, err := unpack(archive, root, a.Limit)
	if err == nil {
		_, err = io.Copy(io.Discard, archive) // what pads the end
	}
	if cerr := archive.Close(); cerr != nil && (err == nil || errors.Is(err, io.ErrUnexpectedEOF)) {
		err = cerr // why it ended early
	}
	if err != nil {
		return err
	}
	err = os.WriteFile(filepath.Join(dir, manifestName), manifest.encode(), 0o644)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, sumName), []byte(manifest.Digest()), 0o644)
	}
	return err
}
