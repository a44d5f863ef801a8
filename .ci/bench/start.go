package main

import (
	"context"
	"fmt"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// start measures how long it takes from a request until its instance is
// started, for a release that is built already: its processes run, its
// promises hold and its URL is published.
func start(ctx context.Context, opt options, t *table) error {
	m, err := startMesh(ctx, opt, "start", 3, 100)
	if err != nil {
		return err
	}
	defer m.stop()
	leader, follower, err := m.parts(ctx)
	if err != nil {
		return err
	}
	if err := supplyAll(ctx, m); err != nil {
		return err
	}
	for _, through := range []struct {
		name string
		peer *peer
	}{{"the leader", leader}, {"a follower", follower}} {
		var took []time.Duration
		for n := range 3*opt.rounds + 1 {
			d, err := requestOnce(ctx, through.peer, fmt.Sprintf("m%d", n))
			if err != nil {
				return err
			}
			if n > 0 { // the first one warms caches
				took = append(took, d)
			}
		}
		t.add("memcached, request to started, through "+through.name, millis(median(took)), spread(took))
	}
	return nil
}

// supplyAll has every computer build memcached.
func supplyAll(ctx context.Context, m *mesh) error {
	for _, p := range m.peers {
		if _, err := p.Supply(ctx, protocol.SupplyInput{Release: "memcached"}); err != nil {
			return err
		}
	}
	for {
		supplies, err := m.peers[0].Supplies(ctx)
		if err != nil {
			return err
		}
		ready := 0
		for _, s := range supplies {
			switch s.State {
			case "error":
				return fmt.Errorf("build on %s: %s", s.ComputerName, s.Reason)
			case "available":
				ready++
			}
		}
		if ready == len(m.peers) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// requestOnce requests an instance, waits until it is started and destroys it.
func requestOnce(ctx context.Context, p *peer, reference string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ref := protocol.Ref{Reference: reference}
	begun := time.Now()
	if _, err := p.Request(ctx, protocol.RequestInput{Reference: reference, Release: "memcached"}); err != nil {
		return 0, err
	}
	if _, err := protocol.Wait(ctx, p, ref, nil); err != nil {
		return 0, err
	}
	took := time.Since(begun)
	if _, err := p.SetState(ctx, ref, protocol.RequestDestroyed); err != nil {
		return 0, err
	}
	for i, err := range p.Watch(ctx, protocol.InstanceQuery{Reference: reference}) {
		if err != nil {
			return 0, err
		}
		if i.State == protocol.StateDestroyed {
			break
		}
	}
	return took, nil
}
