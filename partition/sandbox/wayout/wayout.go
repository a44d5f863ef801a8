// Package wayout is what stands between a partition that has a way out and the
// Internet: all that is near the computer is closed.
//
// pasta(1) makes a network of its own for the partition, and carries out of it
// what goes to others. In that network, before the partition's walls are
// built, [Main] makes unreachable what is not the Internet ([Closed]): no
// process inside the walls has the right to open it again. Then it becomes the
// program that builds the walls.
//
// Sources: rtnetlink(7); the registries of special addresses (RFC 6890).
package wayout

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
)

// Verb is the first argument that makes a program which calls [Main] close
// the networks.
const Verb = "close-way-out"

// The addresses of a partition's network (TEST-NET-1 of RFC 5737, so no other
// network's): its own, and those of the router and the resolver, which both
// are pasta.
var (
	Address  = netip.MustParseAddr("192.0.2.2")
	Router   = netip.MustParseAddr("192.0.2.1")
	Resolver = netip.MustParseAddr("192.0.2.3")
)

// special are the addresses that are not the Internet's, but for what a
// partition's own network needs.
var special = []string{
	"10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", // private, providers', the link's with its metadata
	"192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4", // protocols', tests', groups, reserved
	"192.0.2.0/32", "192.0.2.1/32", "192.0.2.4/30", "192.0.2.8/29", "192.0.2.16/28", "192.0.2.32/27", "192.0.2.64/26", "192.0.2.128/25",
}

// own is the network that pasta makes, in which all but the partition and the
// resolver is closed already.
var own = netip.MustParsePrefix("192.0.2.0/24")

// shortest is the shortest prefix that is taken for a network near the
// computer: what is larger is a tunnel that takes all there is.
const shortest = 8

// Closed lists what a partition must not reach: the networks that are nobody's
// or private, and those that the computer's interfaces are in, with its own
// addresses.
func Closed(interfaces []netip.Prefix) []netip.Prefix {
	var closed []netip.Prefix
	for _, s := range special {
		closed = append(closed, netip.MustParsePrefix(s))
	}
	for _, p := range interfaces {
		if p.Addr().Is4() && p.Bits() < shortest {
			p = netip.PrefixFrom(p.Addr(), 32)
		}
		if p.Addr().Is4() && !p.Addr().IsLoopback() && !p.Overlaps(own) {
			closed = append(closed, p.Masked())
		}
	}
	return closed
}

// Is says whether a program started with args (its name first) must call
// [Main], before anything else.
func Is(args []string) bool { return len(args) > 1 && args[1] == Verb }

// Args returns the arguments, after the program's name, that close networks
// and then run a command: its path, then its name and arguments.
func Args(closed []netip.Prefix, path string, argv []string) []string {
	names := make([]string, len(closed))
	for n, p := range closed {
		names[n] = p.String()
	}
	return append([]string{Verb, strings.Join(names, ","), path}, argv...)
}

// Main closes the networks and becomes the command. It returns only if it
// cannot, and then the exit status.
func Main(args []string) int {
	err := run(args)
	fmt.Fprintln(os.Stderr, "slapd: a way out:", err)
	return 1
}

func run(args []string) error {
	if len(args) < 5 {
		return fmt.Errorf("%s: want NETWORKS PATH NAME [ARGUMENT…]", Verb)
	}
	for name := range strings.SplitSeq(args[2], ",") {
		p, err := netip.ParsePrefix(name)
		if err != nil {
			return err
		}
		if err := forbid(p); err != nil {
			return fmt.Errorf("close %s: %w", p, err)
		}
	}
	return syscall.Exec(args[3], args[4:], os.Environ())
}
