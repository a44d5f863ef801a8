package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// lockEvery is how often a held lock is tried again.
const lockEvery = 50 * time.Millisecond

// Lock takes the lock of a file among all processes, and makes the file if
// need be. When another process holds it, Lock calls waiting once, if that is
// not nil, and waits. The lock ends with unlock or with the process.
func Lock(ctx context.Context, name string, waiting func()) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(lockEvery)
	defer tick.Stop()
	for {
		err := lockFile(f, false)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, errLocked) {
			_ = f.Close()
			return nil, err
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: held by another process: %w", name, ctx.Err())
		case <-tick.C:
		}
	}
}
