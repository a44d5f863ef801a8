//go:build linux && !amd64 && !arm64

package confine

// There is no filter for other kinds of processors.
const (
	auditArch = uint32(0)
	otherABI  = uint32(0)
)

var deniedHere []uint32
