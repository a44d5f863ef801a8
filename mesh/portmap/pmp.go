package portmap

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	natpmp "github.com/jackpal/go-nat-pmp"
)

// PMP finds the default gateway, if it speaks NAT-PMP.
func PMP(ctx context.Context) (Router, error) {
	f, err := os.Open("/proc/net/route")
	if err != nil {
		return nil, fmt.Errorf("find the gateway: %w", err)
	}
	defer func() { _ = f.Close() }()
	gateway, err := gatewayIn(f)
	if err != nil {
		return nil, err
	}
	return PMPAt(gateway)(ctx)
}

// PMPAt is for a known gateway.
func PMPAt(gateway netip.Addr) Finder {
	return func(ctx context.Context) (Router, error) {
		deadline, ok := ctx.Deadline()
		wait := patience
		if ok {
			wait = min(wait, time.Until(deadline)) / 2
		}
		r := pmp{natpmp.NewClientWithTimeout(net.IP(gateway.AsSlice()), wait)}
		if _, err := r.external(); err != nil {
			return nil, err
		}
		return r, nil
	}
}

// gatewayIn reads the routing table of Linux.
func gatewayIn(table io.Reader) (netip.Addr, error) {
	for in := bufio.NewScanner(table); in.Scan(); {
		fields := strings.Fields(in.Text())
		if len(fields) < 8 || fields[1] != "00000000" || fields[7] != "00000000" {
			continue
		}
		raw, err := hex.DecodeString(fields[2])
		if err == nil && len(raw) == 4 {
			slices.Reverse(raw) // as the processor keeps it: all that Linux runs on here is little-endian
			return netip.AddrFrom4([4]byte(raw)), nil
		}
	}
	return netip.Addr{}, errors.New("there is no default gateway")
}

// pmp speaks NAT-PMP.
type pmp struct{ client *natpmp.Client }

// Name is that of the protocol.
func (pmp) Name() string { return "nat-pmp" }

func (r pmp) external() (netip.Addr, error) {
	answer, err := r.client.GetExternalAddress()
	if err != nil {
		return netip.Addr{}, err
	}
	return netip.AddrFrom4(answer.ExternalIPAddress), nil
}

// Map asks for the same port outside, and takes the one that is given.
func (r pmp) Map(_ context.Context, port uint16, lifetime time.Duration) (netip.AddrPort, error) {
	address, err := r.external()
	if err != nil {
		return netip.AddrPort{}, err
	}
	udp, err := r.client.AddPortMapping("udp", int(port), int(port), int(lifetime.Seconds()))
	if err != nil {
		return netip.AddrPort{}, err
	}
	// Without TCP, or with another port for it, UDP still works.
	_, _ = r.client.AddPortMapping("tcp", int(port), int(udp.MappedExternalPort), int(lifetime.Seconds()))
	return netip.AddrPortFrom(address, udp.MappedExternalPort), nil
}

// Unmap asks for no time at all.
func (r pmp) Unmap(_ context.Context, port uint16) error {
	_, errUDP := r.client.AddPortMapping("udp", int(port), 0, 0)
	_, errTCP := r.client.AddPortMapping("tcp", int(port), 0, 0)
	return errors.Join(errUDP, errTCP)
}
