// Package portmap asks the router for a port that leads here from outside: by
// NAT-PMP (RFC 6886), then by UPnP-IGD. [Keep] finds who grants one, refreshes
// it, and gives it back at the end.
//
// What a router says is believed only as far as an address goes that others
// may try: whoever answers there must prove who they are.
package portmap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"
)

const (
	// lifetime is how long a mapping is asked for. It is refreshed after half.
	lifetime = time.Hour
	// patience bounds each conversation with a router.
	patience = 5 * time.Second
	// again is how soon a router that granted nothing is asked anew.
	again = 15 * time.Minute
)

// A Router grants ports.
type Router interface {
	// Name is the protocol, for people.
	Name() string
	// Map has the port of this computer reached from outside, over UDP and
	// TCP, for about a lifetime, and returns where. It may be called again, to
	// refresh.
	Map(ctx context.Context, port uint16, lifetime time.Duration) (netip.AddrPort, error)
	// Unmap ends that.
	Unmap(ctx context.Context, port uint16) error
}

// A Finder looks for a router that speaks one protocol.
type Finder func(ctx context.Context) (Router, error)

// Keep maps a port as long as ctx lasts, and calls mapped with where it is
// reached from outside, and with the zero value when it is not any more.
func Keep(ctx context.Context, port uint16, find []Finder, mapped func(netip.AddrPort, string), log *slog.Logger) {
	var router Router
	defer func() {
		if router != nil {
			release(context.WithoutCancel(ctx), router, port, log)
		}
	}()
	for {
		var at netip.AddrPort
		var err error
		if router == nil {
			router, at, err = first(ctx, port, find)
		} else {
			at, err = mapAt(ctx, router, port)
		}
		wait := lifetime / 2
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			log.Debug("router maps no port", "err", err)
			router, wait = nil, again
			mapped(netip.AddrPort{}, "")
		default:
			mapped(at, router.Name())
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// first asks each kind of router in turn.
func first(ctx context.Context, port uint16, find []Finder) (Router, netip.AddrPort, error) {
	errs := []error{errors.New("no router grants ports")}
	for _, f := range find {
		ask, cancel := context.WithTimeout(ctx, patience)
		router, err := f(ask)
		cancel()
		if err == nil {
			var at netip.AddrPort
			if at, err = mapAt(ctx, router, port); err == nil {
				return router, at, nil
			}
		}
		errs = append(errs, err)
	}
	return nil, netip.AddrPort{}, errors.Join(errs...)
}

func mapAt(ctx context.Context, router Router, port uint16) (netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	at, err := router.Map(ctx, port, lifetime)
	if err != nil {
		return at, fmt.Errorf("%s: %w", router.Name(), err)
	}
	return at, nil
}

func release(ctx context.Context, router Router, port uint16, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := router.Unmap(ctx, port); err != nil {
		log.Debug("mapped port not given back", "router", router.Name(), "err", err)
	}
}
