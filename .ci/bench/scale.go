package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// scale measures what a peer costs in a large mesh of real processes, and how
// long news takes: one peer joins, and one is killed. It runs only when it is
// asked for: -only scale -peers 300 wants some 12 GB of memory.
func scale(ctx context.Context, opt options, t *table) error {
	m, err := startMesh(ctx, opt, "scale", 1, 0)
	if err != nil {
		return err
	}
	defer m.stop()
	begun := time.Now()
	for len(m.peers) < opt.peers-1 {
		for range min(opt.together, opt.peers-1-len(m.peers)) {
			if _, err := m.join(strconv.Itoa(len(m.peers)+1), "--partitions", "0"); err != nil {
				return err
			}
		}
		// One peer at most is still to be seen: who joins is not hurried.
		if err := m.see(ctx, m.peers[:1], len(m.peers)); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "\rbench: %d peers", len(m.peers))
	}
	if err := m.see(ctx, m.peers, len(m.peers)); err != nil {
		return err
	}
	what := fmt.Sprintf("%d peers: ", opt.peers)
	t.add(what+"all joined, and all see all", time.Since(begun).Round(10*time.Millisecond).String(), "")

	begun = time.Now()
	if _, err := m.join(strconv.Itoa(opt.peers), "--partitions", "0"); err != nil {
		return err
	}
	if err := m.see(ctx, m.peers, opt.peers); err != nil {
		return err
	}
	t.add(what+"last one joined, process started to all see all", time.Since(begun).Round(10*time.Millisecond).String(), "")
	if err := m.measure(ctx, what, t); err != nil {
		return err
	}

	last := m.peers[opt.peers-1]
	_ = last.Kill()
	begun = time.Now()
	m.peers = m.peers[:opt.peers-1]
	if err := m.see(ctx, m.peers, opt.peers-1); err != nil {
		return err
	}
	t.add(what+"one killed, until nobody counts it", time.Since(begun).Round(10*time.Millisecond).String(), "")
	return nil
}

// see waits until each of the peers sees so many alive.
func (m *mesh) see(ctx context.Context, peers []*peer, members int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	errs := make(chan error, len(peers))
	slots := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for _, p := range peers {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			status, err := p.await(ctx, func(s protocol.Status) bool { return s.Members == members })
			if err != nil {
				errs <- fmt.Errorf("%w: it sees %d of %d members", err, status.Members, members)
			}
		})
	}
	wg.Wait()
	close(errs)
	err := <-errs
	for _, p := range m.peers {
		select {
		case <-p.exited:
			err = errors.Join(err, fmt.Errorf("%s ended: %s", p.name, p.lastWords()))
		default:
		}
	}
	return err
}

// measure adds what the peers cost while nobody asks them for anything.
func (m *mesh) measure(ctx context.Context, what string, t *table) error {
	if err := wait(ctx, m.opt.settle); err != nil {
		return err
	}
	before, then, err := m.traffic(ctx)
	if err != nil {
		return err
	}
	used := cpu(m.processes()...)
	watched := time.Now()
	if err := wait(ctx, m.opt.idle); err != nil {
		return err
	}
	share := 100 * (cpu(m.processes()...) - used).Seconds() / time.Since(watched).Seconds() / float64(len(m.peers))
	after, now, err := m.traffic(ctx)
	if err != nil {
		return err
	}
	var rss, pss, connections, gossip, wire, alone []float64
	for n, p := range m.peers {
		r, s := memory(p.process)
		span := now[n].Sub(then[n]).Seconds()
		a, b := after[n], before[n]
		rss, pss, connections = append(rss, r), append(pss, s), append(connections, float64(a.Connections))
		gossip = append(gossip, float64(a.GossipSent-b.GossipSent)/span)
		wire = append(wire, float64(a.Sent-b.Sent)/span)
		alone = append(alone, float64(a.GossipReceived-b.GossipReceived)/span)
	}
	t.add(what+"memory of a peer", fmt.Sprintf("%.1f MiB RSS", median(rss)),
		fmt.Sprintf("worst %.1f; PSS median %.1f, worst %.1f", quantile(rss, 1), median(pss), quantile(pss, 1)))
	t.add(what+"processor of a peer, idle", fmt.Sprintf("%.2f %% of a core", share), fmt.Sprintf("mean over %v", m.opt.idle))
	t.add(what+"gossip sent by a peer", fmt.Sprintf("%.0f B/s", median(gossip)), fmt.Sprintf("worst %.0f; received median %.0f, worst %.0f", quantile(gossip, 1), median(alone), quantile(alone, 1)))
	t.add(what+"all that a peer sends", fmt.Sprintf("%.0f B/s", median(wire)), fmt.Sprintf("worst %.0f", quantile(wire, 1)))
	t.add(what+"connections of a peer", fmt.Sprintf("%.0f", median(connections)), fmt.Sprintf("worst %.0f", quantile(connections, 1)))
	return nil
}

// traffic asks every peer what it exchanged, and when.
func (m *mesh) traffic(ctx context.Context) ([]protocol.Traffic, []time.Time, error) {
	all, at := make([]protocol.Traffic, len(m.peers)), make([]time.Time, len(m.peers))
	for n, p := range m.peers {
		status, err := p.Status(ctx)
		if err != nil {
			return nil, nil, err
		}
		all[n], at[n] = status.Traffic, time.Now()
	}
	return all, at, nil
}
