//go:build !linux

package wayout

import (
	"errors"
	"net/netip"
)

// forbid refuses: partitions have no networks of their own on this system.
func forbid(netip.Prefix) error { return errors.ErrUnsupported }
