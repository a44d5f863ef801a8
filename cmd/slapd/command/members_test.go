package command_test

import (
	"strconv"
	"testing"

	"github.com/slapmesh/slapmesh/cmd/slapd/command"
	"github.com/slapmesh/slapmesh/protocol"
)

// Of thousands of members people are shown those that are not alive, and the
// first of the others.
func TestFirstMembers(t *testing.T) {
	for _, tc := range []struct {
		members, shown int
		first, last    string
	}{
		{0, 0, "", ""},
		{500, 500, "0", "499"},
		{501, 500, "499", "498"}, // 499 is not alive
		{5000, 500, "499", "498"},
	} {
		var all []protocol.Member
		for n := range tc.members {
			all = append(all, protocol.Member{PeerID: strconv.Itoa(n), State: protocol.MemberAlive})
		}
		if tc.members > 499 {
			all[499].State = protocol.MemberFailed
		}
		got := command.FirstMembers(all)
		if len(got) != tc.shown {
			t.Errorf("of %d members %d are shown, want %d", tc.members, len(got), tc.shown)
			continue
		}
		if tc.shown > 0 && (got[0].PeerID != tc.first || got[len(got)-1].PeerID != tc.last) {
			t.Errorf("of %d members %s to %s are shown, want %s to %s", tc.members, got[0].PeerID, got[len(got)-1].PeerID, tc.first, tc.last)
		}
	}
}
