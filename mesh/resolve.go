package mesh

import (
	"context"
	"net"
	"net/netip"
	"slices"
)

// resolve turns HOST:PORT into one address: the first of IPv4, or else the
// first.
func resolve(ctx context.Context, address string) (*net.UDPAddr, error) {
	all, err := resolveAll(ctx, address)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(all, func(a netip.AddrPort) bool { return a.Addr().Is4() })
	return net.UDPAddrFromAddrPort(all[max(at, 0)]), nil
}

// resolveAll turns HOST:PORT into the addresses to try, as many as a name may
// have here. Names are looked up only where there is one.
func resolveAll(ctx context.Context, address string) ([]netip.AddrPort, error) {
	if ap, err := netip.ParseAddrPort(address); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())}, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var all []netip.AddrPort
	for _, ip := range ips {
		if a := netip.AddrPortFrom(ip.Unmap(), uint16(number)); len(all) < maxTries && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all, nil
}
