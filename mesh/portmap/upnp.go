package portmap

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/dcps/internetgateway2"
	"github.com/huin/goupnp/soap"
)

// connection is what the services of a gateway have in common.
type connection interface {
	AddPortMappingCtx(ctx context.Context, remoteHost string, externalPort uint16, protocol string, internalPort uint16,
		internalClient string, enabled bool, description string, leaseSeconds uint32) error
	DeletePortMappingCtx(ctx context.Context, remoteHost string, externalPort uint16, protocol string) error
	GetExternalIPAddressCtx(ctx context.Context) (string, error)
	GetServiceClient() *goupnp.ServiceClient
}

// UPnP finds an internet gateway on the local network.
func UPnP(ctx context.Context) (Router, error) {
	var found []connection
	two, _, errTwo := internetgateway2.NewWANIPConnection2ClientsCtx(ctx)
	for _, c := range two {
		found = append(found, c)
	}
	if len(found) == 0 {
		one, _, err := internetgateway2.NewWANIPConnection1ClientsCtx(ctx)
		errTwo = errors.Join(errTwo, err)
		for _, c := range one {
			found = append(found, c)
		}
	}
	return gateway(found, errTwo)
}

// UPnPAt is for a known description of a gateway.
func UPnPAt(location *url.URL) Finder {
	return func(ctx context.Context) (Router, error) {
		one, err := internetgateway2.NewWANIPConnection1ClientsByURLCtx(ctx, location)
		var found []connection
		for _, c := range one {
			found = append(found, c)
		}
		return gateway(found, err)
	}
}

func gateway(found []connection, err error) (Router, error) {
	if len(found) == 0 {
		return nil, errors.Join(errors.New("no UPnP gateway answers"), err)
	}
	return upnp{found[0]}, nil
}

// upnp speaks UPnP-IGD.
type upnp struct{ connection }

// Name is that of the protocol.
func (upnp) Name() string { return "upnp" }

// Map asks for the same port outside.
func (r upnp) Map(ctx context.Context, port uint16, lifetime time.Duration) (netip.AddrPort, error) {
	text, err := r.GetExternalIPAddressCtx(ctx)
	if err != nil {
		return netip.AddrPort{}, err
	}
	outside, err := netip.ParseAddr(text)
	if err != nil {
		return netip.AddrPort{}, err
	}
	inside, err := r.inside(ctx)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if err := r.add(ctx, "UDP", port, inside, lifetime); err != nil {
		return netip.AddrPort{}, err
	}
	_ = r.add(ctx, "TCP", port, inside, lifetime) // without TCP, UDP still works
	return netip.AddrPortFrom(outside, port), nil
}

// onlyForEver is how a gateway says that it knows no lifetimes.
const onlyForEver = 725

func (r upnp) add(ctx context.Context, protocol string, port uint16, inside string, lifetime time.Duration) error {
	err := r.AddPortMappingCtx(ctx, "", port, protocol, port, inside, true, "slapd", uint32(lifetime.Seconds()))
	if fault, ok := errors.AsType[*soap.SOAPFaultError](err); ok && fault.Detail.UPnPError.Errorcode == onlyForEver {
		return r.AddPortMappingCtx(ctx, "", port, protocol, port, inside, true, "slapd", 0)
	}
	return err
}

// inside is the address of this computer, as the gateway sees it.
func (r upnp) inside(ctx context.Context) (string, error) {
	location := r.GetServiceClient().Location
	port := location.Port()
	if port == "" {
		port = "80"
	}
	c, err := new(net.Dialer).DialContext(ctx, "udp", net.JoinHostPort(location.Hostname(), port))
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }() // nothing was sent
	host, _, err := net.SplitHostPort(c.LocalAddr().String())
	return host, err
}

// Unmap gives the port back.
func (r upnp) Unmap(ctx context.Context, port uint16) error {
	return errors.Join(r.DeletePortMappingCtx(ctx, "", port, "UDP"), r.DeletePortMappingCtx(ctx, "", port, "TCP"))
}
