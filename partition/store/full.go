package store

import "fmt"

// A FullError says that the store's file system has no space left. Nothing
// that was being made has got its name.
type FullError struct {
	Dir         string
	Free, Files int64 // bytes and files that are left
	Err         error
}

func (e *FullError) Error() string {
	return fmt.Sprintf("store %s: no space left on the file system (%.1f MiB and %d files free): make room there, or use another folder: %v",
		e.Dir, float64(e.Free)/(1<<20), e.Files, e.Err)
}

// Unwrap returns what the system said.
func (e *FullError) Unwrap() error { return e.Err }

// explain says which store an error is of, and what to do about a full one.
func (s *Store) explain(err error) error {
	if err == nil {
		return nil
	}
	if isFull(err) {
		free, files, _ := Free(s.dir) // zero when even that cannot be told
		return &FullError{s.dir, free, files, err}
	}
	return fmt.Errorf("store %s: %w", s.dir, err)
}
