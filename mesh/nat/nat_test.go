package nat_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/slapmesh/slapmesh/mesh/nat"
)

func TestClassify(t *testing.T) {
	for _, tc := range []struct {
		name  string
		own   string
		given string // observer>seen
		then  string
	}{
		{"nobody spoke", "192.168.1.2", "", "unknown []"},
		{"a public address", "203.0.113.1", "203.0.113.9>203.0.113.1:7527", "none []"},
		{"a neighbour says nothing", "192.168.1.2", "192.168.1.3>192.168.1.2:7527", "unknown []"},
		{"one observer is not enough", "192.168.1.2", "203.0.113.9>198.51.100.1:20000", "unknown [198.51.100.1:20000]"},
		{
			"all see the same", "192.168.1.2", "203.0.113.9>198.51.100.1:20000 203.0.113.8>198.51.100.1:20000",
			"independent [198.51.100.1:20000]",
		},
		{
			"each sees another", "192.168.1.2", "203.0.113.9>198.51.100.1:20000 203.0.113.8>198.51.100.1:20001",
			"dependent [198.51.100.1:20000 198.51.100.1:20001]",
		},
		{
			"an old word does not hide that most agree", "192.168.1.2",
			"203.0.113.9>198.51.100.1:20000 203.0.113.8>198.51.100.1:20000 203.0.113.7>198.51.100.1:9",
			"independent [198.51.100.1:20000 198.51.100.1:9]",
		},
		{
			"IPv4 and IPv6 are two", "192.168.1.2", "203.0.113.9>198.51.100.1:20000 2001:db8::9>[2001:db8:1::1]:20000",
			"unknown [198.51.100.1:20000 [2001:db8:1::1]:20000]",
		},
		{"mapped form", "203.0.113.1", "203.0.113.9>[::ffff:203.0.113.1]:7527", "none []"},
	} {
		var observations []nat.Observation
		for word := range strings.FieldsSeq(tc.given) {
			by, seen, _ := strings.Cut(word, ">")
			observations = append(observations, nat.Observation{By: netip.MustParseAddr(by), Seen: netip.MustParseAddrPort(seen)})
		}
		v := nat.Classify([]netip.Addr{netip.MustParseAddr(tc.own)}, observations)
		if got := fmt.Sprint(v.Mapping, " ", v.External); got != tc.then {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.then)
		}
	}
}

func TestProves(t *testing.T) {
	hidden := nat.Verdict{Mapping: nat.Independent, External: []netip.AddrPort{netip.MustParseAddrPort("198.51.100.1:20000")}}
	for _, tc := range []struct {
		name string
		v    nat.Verdict
		from string
		want bool
	}{
		{"no translator", nat.Verdict{Mapping: nat.None}, "192.168.1.3", true},
		{"nothing known of one", nat.Verdict{}, "192.168.1.3", true},
		{"from the Internet", hidden, "203.0.113.9", true},
		{"from the same home", hidden, "192.168.1.3", false},
		{"from the same carrier", hidden, "100.64.1.2", false},
		{"round our own translator", hidden, "198.51.100.1", false},
	} {
		if got := nat.Proves(tc.v, netip.MustParseAddr(tc.from)); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}
