package nat_test

import (
	"net/netip"
	"testing"

	"github.com/slapmesh/slapmesh/mesh/nat"
)

func TestKind(t *testing.T) {
	outside := []netip.AddrPort{netip.MustParseAddrPort("198.51.100.1:20000")}
	for _, tc := range []struct {
		v    nat.Verdict
		e    nat.Entry
		want nat.Kind
	}{
		{nat.Verdict{Mapping: nat.Unknown}, nat.EntryOpen, nat.KindUnknown},
		{nat.Verdict{Mapping: nat.None}, nat.EntryUnknown, nat.KindNone},
		{nat.Verdict{Mapping: nat.None}, nat.EntryOpen, nat.KindNone},
		{nat.Verdict{Mapping: nat.None}, nat.EntryClosed, nat.KindFirewall},
		{nat.Verdict{Mapping: nat.Unknown, External: outside}, nat.EntryClosed, nat.KindNAT},
		{nat.Verdict{Mapping: nat.Independent, External: outside}, nat.EntryUnknown, nat.KindCone},
		{nat.Verdict{Mapping: nat.Independent, External: outside}, nat.EntryOpen, nat.KindOpen},
		{nat.Verdict{Mapping: nat.Independent, External: outside}, nat.EntryClosed, nat.KindRestricted},
		{nat.Verdict{Mapping: nat.Dependent, External: outside}, nat.EntryOpen, nat.KindSymmetric},
	} {
		got := tc.v.Kind(tc.e)
		if got != tc.want {
			t.Errorf("%s, %d: %s, want %s", tc.v.Mapping, tc.e, got, tc.want)
		}
		if back := nat.KindOf(got.Number()); back != got {
			t.Errorf("%s travels as %s", got, back)
		}
	}
	if got := nat.KindOf(200); got != nat.KindUnknown {
		t.Errorf("a number of a later version is %s", got)
	}
}
