package partition

import (
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/partition/release"
)

// Who asks for a way out gets one where owner and computer give it, and is
// told what to do elsewhere.
func TestLetsOut(t *testing.T) {
	s := newSite(t)
	asks := &release.Release{Name: "crawler", Egress: true}
	if err := s.computer.letsOut(&release.Release{Name: "quiet"}); err != nil {
		t.Errorf("who asks for nothing: %v", err)
	}
	if err := s.computer.letsOut(asks); err == nil || !strings.Contains(err.Error(), "--filter egress=yes") {
		t.Errorf("where the owner allows none: %v", err)
	}
	s.computer.Egress = true
	err := s.computer.letsOut(asks)
	if s.computer.Walls.OwnNetwork() && (err == nil) != (s.computer.Walls.WayOut() == nil) {
		t.Errorf("where the owner allows it: %v; the walls say: %v", err, s.computer.Walls.WayOut())
	}
}
