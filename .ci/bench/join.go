package main

import (
	"context"
	"fmt"
	"strconv"
	"syscall"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// join measures how long it takes from the start of `slapd join` until the
// first peer, and until every peer, itself included, shows the newcomer alive.
// In each round the newcomer is another one, which leaves after it.
func join(ctx context.Context, opt options, t *table) error {
	m, err := startMesh(ctx, opt, "join", opt.peers-1, 1)
	if err != nil {
		return err
	}
	defer m.stop()
	var first, all, offers []time.Duration
	for n := range opt.rounds {
		one, every, offered, err := m.joinOnce(ctx, strconv.Itoa(opt.peers+n))
		if err != nil {
			return err
		}
		first, all, offers = append(first, one), append(all, every), append(offers, offered)
	}
	what := fmt.Sprintf("join, process started to visible on %%s of %d peers", opt.peers)
	t.add(fmt.Sprintf(what, "the first"), millis(median(first)), spread(first))
	t.add(fmt.Sprintf(what, "all"), millis(median(all)), spread(all))
	t.add("join, process started to partitions offered", millis(median(offers)), spread(offers))
	return nil
}

// joinOnce has one peer join and leave.
func (m *mesh) joinOnce(ctx context.Context, name string) (first, all, offered time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	begun := time.Now()
	p, err := m.join(name, "--partitions", "1")
	if err != nil {
		return 0, 0, 0, err
	}
	for _, watcher := range m.peers {
		if err := watcher.sees(ctx, p); err != nil {
			return 0, 0, 0, fmt.Errorf("%s does not see %s: %w", watcher.name, p.name, err)
		}
		all = time.Since(begun)
		if first == 0 {
			first = all
		}
	}
	for {
		computers, err := m.peers[0].Computers(ctx)
		if err != nil {
			return 0, 0, 0, err
		}
		if offers(computers, p.name) {
			break
		}
		if err := pause(ctx); err != nil {
			return 0, 0, 0, err
		}
	}
	offered = time.Since(begun)
	m.peers = m.peers[:len(m.peers)-1]
	if err := p.Leave(ctx, protocol.LeaveInput{}); err != nil {
		return 0, 0, 0, err
	}
	select {
	case <-p.exited:
	case <-ctx.Done():
		p.end(syscall.SIGKILL)
	}
	return first, all, offered, m.settle(ctx)
}

func offers(all []protocol.Computer, name string) bool {
	for _, c := range all {
		if c.Name == name {
			return true
		}
	}
	return false
}

// sees waits until the peer shows another one alive.
func (p *peer) sees(ctx context.Context, other *peer) error {
	for {
		members, err := p.Members(ctx)
		if err == nil { // a newcomer's socket is not there at once
			for _, m := range members {
				if m.Name == other.name && m.State == protocol.MemberAlive {
					return nil
				}
			}
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// pause waits a little.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(5 * time.Millisecond):
		return nil
	}
}
