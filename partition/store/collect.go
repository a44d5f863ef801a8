package store

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A Keep says what [Store.Collect] leaves alone.
type Keep struct {
	// Trees are the digests of those that are in use. They stay.
	Trees map[string]bool
	// Budget is how many bytes the trees and packages that nobody needs may
	// have together; those used last stay. 0: none do.
	Budget int64
	// Since protects what was used at or after it, because somebody may be
	// about to use it.
	Since time.Time
	// Partial is from when on an unfinished tree may still be gone on with.
	Partial time.Time
}

// A Collected says what [Store.Collect] removed.
type Collected struct {
	Trees, Packages, Files, Partial int
	Bytes                           int64 // of the files
}

// A shelved is something that could be removed.
type shelved struct {
	kind, digest string
	used         time.Time
	size         int64
}

// Collect removes what nobody needs: trees and packages beyond the budget,
// the one used longest ago first, and then content that no tree has any more.
// It may be interrupted anywhere, and others may use the store meanwhile.
func (s *Store) Collect(ctx context.Context, keep Keep) (Collected, error) {
	var out Collected
	var spare []shelved
	for _, kind := range []string{treesDir, packagesDir} {
		found, err := s.spare(ctx, kind, keep)
		if err != nil {
			return out, s.explain(err)
		}
		spare = append(spare, found...)
	}
	slices.SortFunc(spare, func(a, b shelved) int { return cmp.Or(b.used.Compare(a.used), cmp.Compare(a.digest, b.digest)) })
	left := keep.Budget
	for _, item := range spare {
		if left -= item.size; left >= 0 {
			continue
		}
		if !item.used.Before(keep.Since) {
			continue
		}
		if err := s.remove(filepath.Join(item.kind, item.digest)); err != nil {
			return out, err
		}
		if item.kind == treesDir {
			out.Trees++
		} else {
			out.Packages++
		}
	}
	return out, s.explain(errors.Join(s.collectPartial(keep, &out), s.collectFiles(ctx, &out)))
}

// spare lists what is not in use.
func (s *Store) spare(ctx context.Context, kind string, keep Keep) ([]shelved, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, kind))
	if err != nil {
		return nil, err
	}
	var out []shelved
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if kind == treesDir && keep.Trees[entry.Name()] {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		item := shelved{kind, entry.Name(), info.ModTime(), 0}
		if _, manifest, err := s.read(kind, item.digest); err == nil { // else it is damaged, and worth nothing
			item.size = manifest.Size()
		} else {
			item.size = keep.Budget + 1
		}
		out = append(out, item)
	}
	return out, nil
}

// collectPartial removes trees that have not gone on for long.
func (s *Store) collectPartial(keep Keep, out *Collected) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, partialDir))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !entry.IsDir() || !info.ModTime().Before(keep.Partial) {
			continue
		}
		full := filepath.Join(s.dir, partialDir, entry.Name())
		if _, err := os.Lstat(full); err != nil {
			continue
		}
		if err := sweepDir(full); err != nil {
			return err
		}
		if _, err := os.Lstat(full); errors.Is(err, fs.ErrNotExist) {
			out.Partial++
		}
	}
	return nil
}

// collectFiles removes the content that only the store itself has a name for.
// Whoever makes it another name at this moment keeps the content and merely
// does not share it.
func (s *Store) collectFiles(ctx context.Context, out *Collected) error {
	return s.eachShared(func(name string, _ Entry, info fs.FileInfo) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if names(info) != 1 {
			return nil
		}
		out.Files++
		out.Bytes += info.Size()
		return ignoreMissing(os.Remove(name))
	})
}

// Trees returns the digests of all trees.
func (s *Store) Trees() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, treesDir))
	if err != nil {
		return nil, s.explain(err)
	}
	out := make([]string, 0, len(entries))
	for _, entry := range entries {
		out = append(out, entry.Name())
	}
	return out, nil
}

// touch notes that something is used now. That a note is lost does no harm.
func (s *Store) touch(name string) {
	_ = setUsed(filepath.Join(s.dir, name))
}
