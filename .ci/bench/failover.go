package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// failover measures how long it takes from kill -9 of the leader until a
// write through a survivor is acknowledged. Ours is one request, asked again
// only if it is refused; etcd's is given up and put anew every 250 ms, since
// etcd lets those wait 7 s that came in before it knew.
func failover(ctx context.Context, opt options, t *table) error {
	ours, err := meshFailover(ctx, opt)
	if err != nil {
		return err
	}
	t.add("leader killed to next acknowledged write", millis(median(ours)), spread(ours))
	theirs, err := etcdFailover(ctx, opt)
	switch {
	case errors.Is(err, errNoEtcd):
		t.add("etcd", "-", err.Error())
	case err != nil:
		return err
	default:
		t.add("etcd: leader killed to next acknowledged write", millis(median(theirs)), spread(theirs))
	}
	return nil
}

func meshFailover(ctx context.Context, opt options) ([]time.Duration, error) {
	m, err := startMesh(ctx, opt, "failover", 3, 10)
	if err != nil {
		return nil, err
	}
	defer m.stop()
	in := protocol.RequestInput{Reference: "one", Release: "memcached", State: protocol.RequestStopped}
	if _, err := m.peers[0].Request(ctx, in); err != nil {
		return nil, err
	}
	var took []time.Duration
	for n := range opt.rounds {
		leader, follower, err := m.parts(ctx)
		if err != nil {
			return nil, err
		}
		in.Parameters = map[string]json.RawMessage{"connections": fmt.Append(nil, 1000+n)}
		if _, err := follower.Request(ctx, in); err != nil { // its way to the leader is open
			return nil, err
		}
		in.Parameters = map[string]json.RawMessage{"connections": fmt.Append(nil, 2000+n)}
		begun := time.Now()
		leader.end(syscall.SIGKILL)
		if err := writeUntilTaken(ctx, follower, in); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begun))
		if err := leader.start("run"); err != nil {
			return nil, err
		}
		if err := m.settle(ctx); err != nil {
			return nil, err
		}
		if err := wait(ctx, 2*time.Second); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// writeUntilTaken requests again for as long as the peer says that nobody
// leads.
func writeUntilTaken(ctx context.Context, p *peer, in protocol.RequestInput) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		_, err := p.Request(ctx, in)
		if !errors.Is(err, protocol.ErrUnavailable) {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

func etcdFailover(ctx context.Context, opt options) ([]time.Duration, error) {
	e, err := startEtcd(ctx, opt, "failover-etcd")
	if err != nil {
		return nil, err
	}
	defer e.stop()
	var took []time.Duration
	for range opt.rounds {
		leader, follower, err := e.parts(ctx)
		if err != nil {
			return nil, err
		}
		write := e.put(follower)
		if err := write(ctx, 0, 0); err != nil {
			return nil, err
		}
		begun := time.Now()
		e.servers[leader].end(syscall.SIGKILL)
		for ctx.Err() == nil {
			try, stop := context.WithTimeout(ctx, 250*time.Millisecond)
			err := write(try, 0, 0)
			stop()
			if err == nil {
				break
			}
		}
		took = append(took, time.Since(begun))
		if err := e.again(ctx, leader); err != nil {
			return nil, err
		}
		if err := wait(ctx, 2*time.Second); err != nil {
			return nil, err
		}
	}
	return took, nil
}
