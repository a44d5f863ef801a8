//go:build unix

package sandbox

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The users of partitions. The range is one that systemd's allocation leaves
// free and that no subordinate id range reaches by default.
const (
	firstUID = 0x70000000
	numUIDs  = 1 << 16
)

// claims hands out users to partitions so that no two on this computer share
// one, whichever daemon they belong to. A claim is a file named by the uid
// that holds the partition's folder. It is void once that folder is gone, by
// whatever means, and nobody runs as its user any more.
type claims struct{ dir string }

// claim returns the uid of the folder: the wanted one if it is not another's,
// else a free one. Zero wants none.
func (c claims) claim(folder string, wanted int) (int, error) {
	unlock, err := c.lock()
	if err != nil {
		return 0, fmt.Errorf("claim a user: %w", err)
	}
	defer unlock()
	if err := c.sweep(); err != nil {
		return 0, fmt.Errorf("claim a user: %w", err)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(folder))
	start := int(h.Sum32() % numUIDs)
	if wanted >= firstUID && wanted < firstUID+numUIDs {
		start = wanted - firstUID
	}
	for i := range numUIDs {
		uid := firstUID + (start+i)%numUIDs
		owner, err := c.named(uid)
		if err != nil {
			return 0, fmt.Errorf("claim a user: %w", err)
		}
		if owner == folder {
			return uid, nil
		}
		if owner != "" {
			continue
		}
		if err := os.WriteFile(c.file(uid), []byte(folder+"\n"), 0o600); err != nil {
			return 0, fmt.Errorf("claim a user: %w", err)
		}
		return uid, nil
	}
	return 0, fmt.Errorf("claim a user: all %d are taken", numUIDs)
}

// release gives the uid back if it is the folder's.
func (c claims) release(folder string, uid int) error {
	unlock, err := c.lock()
	if err != nil {
		return fmt.Errorf("release a user: %w", err)
	}
	defer unlock()
	if owner, err := c.named(uid); err != nil || owner != folder {
		return err
	}
	return os.Remove(c.file(uid))
}

// named returns the folder that the claim of uid names, or nothing.
func (c claims) named(uid int) (string, error) {
	b, err := os.ReadFile(c.file(uid))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSuffix(string(b), "\n"), err
}

// sweep removes the claims that are void, as rm -rf of a state folder leaves
// them behind.
func (c claims) sweep() error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	var busy map[int]bool // looked up when the first claim may be void
	for _, e := range entries {
		uid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue // the lock
		}
		folder, err := c.named(uid)
		if err != nil {
			return err
		}
		if _, err := os.Lstat(folder); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if busy == nil {
			busy = users()
		}
		if busy[uid] {
			continue
		}
		if err := os.Remove(c.file(uid)); err != nil {
			return err
		}
	}
	return nil
}

func (c claims) file(uid int) string { return filepath.Join(c.dir, strconv.Itoa(uid)) }

func (c claims) lock() (func(), error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(c.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}
