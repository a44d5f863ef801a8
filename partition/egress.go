package partition

import (
	"fmt"

	"github.com/slapmesh/slapmesh/partition/release"
)

// letsOut refuses a release that asks for a way out to the Internet where the
// owner of this computer, or the computer, gives none. Partitions that are
// plain processes use the computer's network in any case: there the owner's
// word is enough.
func (c *Computer) letsOut(r *release.Release) error {
	if !r.Egress {
		return nil
	}
	if !c.Egress {
		return fmt.Errorf("release %s asks for a way out to the Internet, and the owner of this computer allows none: "+
			"request it with --filter egress=yes for a computer whose slapd runs with --egress", r.Name)
	}
	if !c.Walls.OwnNetwork() {
		return nil
	}
	if err := c.Walls.WayOut(); err != nil {
		return fmt.Errorf("release %s asks for a way out to the Internet, and this computer can give none: %w", r.Name, err)
	}
	return nil
}
