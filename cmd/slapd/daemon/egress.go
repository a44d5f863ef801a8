package daemon

import "github.com/slapmesh/slapmesh/partition/release"

// reachOf says what instances of a release may connect to.
func reachOf(r *release.Release) string {
	const mesh = "instances of its tree, and those whose addresses are in its parameters"
	if r.Egress {
		return mesh + "; and the Internet, but no computer's own or private network"
	}
	return mesh
}
