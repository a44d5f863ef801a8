package confine

import "golang.org/x/sys/unix"

const (
	auditArch = uint32(unix.AUDIT_ARCH_AARCH64)
	otherABI  = uint32(0)
)

// deniedHere are calls that only this kind of processor has.
var deniedHere []uint32
