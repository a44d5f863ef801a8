package wayout

import (
	"net/netip"
	"slices"
	"testing"
)

func TestClosed(t *testing.T) {
	var interfaces []netip.Prefix
	for _, s := range []string{"127.0.0.1/8", "203.0.113.9/32", "198.51.100.4/25", "2001:db8::1/64", "192.0.2.2/24", "9.9.9.9/0"} {
		interfaces = append(interfaces, netip.MustParsePrefix(s))
	}
	closed := Closed(interfaces)
	reaches := func(address string) bool {
		a := netip.MustParseAddr(address)
		return !slices.ContainsFunc(closed, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	for address, want := range map[string]bool{
		"1.1.1.1": true, "203.0.113.10": true, "192.0.2.3": true, // the resolver, which is pasta
		"203.0.113.9": false, "198.51.100.4": false, "9.9.9.9": false, // ours
		"198.51.100.126": false, "198.51.100.128": true, // our neighbours, and others
		"10.1.2.3": false, "172.31.255.255": false, "192.168.1.1": false, "100.64.0.1": false, "169.254.169.254": false,
		"224.0.0.251": false, "255.255.255.255": false, "192.0.2.1": false, "192.0.2.77": false, "198.18.0.1": false,
		"172.32.0.1": true, "100.128.0.1": true, "11.0.0.1": true, "192.0.3.1": true,
	} {
		if got := reaches(address); got != want {
			t.Errorf("%s: reaches %v, want %v", address, got, want)
		}
	}
	for _, p := range closed {
		if p != p.Masked() || p.Contains(Address) || p.Contains(Resolver) {
			t.Errorf("%s", p)
		}
	}
}

func TestArgs(t *testing.T) {
	args := append([]string{"slapd"}, Args(Closed(nil)[:2], "/usr/bin/bwrap", []string{"bwrap", "--", "x"})...)
	want := []string{"slapd", Verb, "10.0.0.0/8,100.64.0.0/10", "/usr/bin/bwrap", "bwrap", "--", "x"}
	if !Is(args) || !slices.Equal(args, want) {
		t.Errorf("%q", args)
	}
	if Main([]string{"slapd", Verb, "nonsense", "/bin/true", "true"}) != 1 || Main([]string{"slapd", Verb}) != 1 {
		t.Error("nonsense is taken")
	}
}
