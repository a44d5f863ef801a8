package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// ErrDamaged says that what is on disk is not what was written there: bytes
// changed, or files are gone. A disk that fails, is full, or is in use by
// another process is something else.
var ErrDamaged = errors.New("damaged on disk")

// A DamageError says what in a journal is not what was written. It is an
// [ErrDamaged].
type DamageError struct {
	Entry uint64 // where it was found
	What  string
	Err   error // what the store says, if it noticed
}

func (e *DamageError) Error() string {
	text := fmt.Sprintf("entry %d: %s", e.Entry, e.What)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns what the store says.
func (e *DamageError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrDamaged].
func (e *DamageError) Is(target error) bool { return target == ErrDamaged }

// openStore is pebble.Open, and says whether it failed for what it read.
func openStore(dir string, o Options) (db *pebble.DB, err error) {
	defer func() {
		if p := recover(); p != nil { // it trusts some of what it reads
			db, err = nil, fmt.Errorf("%w: store: %v", ErrDamaged, p)
		}
	}()
	if err := lost(dir, o); err != nil {
		return nil, err
	}
	db, err = pebble.Open(dir, storeOptions(o))
	return db, unread(err)
}

// unread makes an [ErrDamaged] of what the store says when it can make nothing
// of what is on disk, be it that a file is gone.
func unread(err error) error {
	if !pebble.IsCorruptionError(err) && !errors.Is(err, pebble.ErrDBNotPristine) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	what, _, _ := strings.Cut(err.Error(), "\n") // the rest repeats it
	return fmt.Errorf("%w: %s", ErrDamaged, what)
}

// lost says what is missing of a store that would be made anew.
func lost(dir string, o Options) error {
	files, err := o.fs.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	desc, err := pebble.Peek(dir, o.fs)
	if err != nil || desc.Exists {
		return unread(err)
	}
	for _, name := range files {
		if strings.HasPrefix(name, "MANIFEST-") || strings.HasSuffix(name, ".sst") {
			return fmt.Errorf("%w: there is %s, and nothing that says what it belongs to", ErrDamaged, name)
		}
	}
	return nil
}
