//go:build unix && !linux

package store

import "golang.org/x/sys/unix"

// syncAll makes everything in dir durable.
func syncAll(string) error { return unix.Sync() }
