package main

import (
	"context"
	"fmt"
	"time"
)

// idle measures what peers cost that nobody asks for anything, in a mesh of
// three that has been quiet for a while.
func idle(ctx context.Context, opt options, t *table) error {
	m, err := startMesh(ctx, opt, "idle", 3, 10)
	if err != nil {
		return err
	}
	defer m.stop()
	if err := wait(ctx, 15*time.Second); err != nil {
		return err
	}
	leader, _, err := m.parts(ctx)
	if err != nil {
		return err
	}
	before := make([]time.Duration, len(m.peers))
	for n, p := range m.peers {
		before[n] = cpu(p.process)
	}
	begun := time.Now()
	if err := wait(ctx, opt.idle); err != nil {
		return err
	}
	var rss, pss, share []float64
	for n, p := range m.peers {
		r, s := memory(p.process)
		c := 100 * (cpu(p.process) - before[n]).Seconds() / time.Since(begun).Seconds()
		rss, pss, share = append(rss, r), append(pss, s), append(share, c)
		if p == leader {
			t.add("the leader, idle", fmt.Sprintf("%.1f MiB RSS", r), fmt.Sprintf("%.1f MiB PSS, %.2f %% of a core", s, c))
		}
	}
	t.add("a peer, idle", fmt.Sprintf("%.1f MiB RSS", median(rss)),
		fmt.Sprintf("%.1f MiB PSS, %.2f %% of a core, over %v", median(pss), median(share), opt.idle))
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
