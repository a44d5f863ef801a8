package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncAll makes everything in dir durable, by one call for the whole file
// system: one for each of thousands of files takes far longer.
func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return unix.Syncfs(int(f.Fd()))
}
