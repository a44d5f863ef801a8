package main_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/slapmesh/slapmesh/protocol"
)

// Many clients who ask different peers at once never get the same partition,
// nor the same address; and the same reference is the same instance whoever
// is asked.
func TestRequestsGetDistinctPartitions(t *testing.T) {
	t.Parallel()
	const (
		clients    = 16
		requests   = 320
		partitions = 400
	)
	w := newWorld(t, here)
	peers := w.mesh("100", "a", "b", "c", "d")

	got := make([]protocol.Instance, requests)
	var wait sync.WaitGroup
	for client := range clients {
		wait.Go(func() {
			for n := client; n < requests; n += clients {
				var err error
				if got[n], err = peers[(client+n/clients)%len(peers)].stopped(n); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	places, addresses := map[string]int{}, map[string]int{}
	for n, i := range got {
		place := i.Computer + "/" + i.Partition
		if other, taken := places[place]; taken {
			t.Errorf("r%d and r%d both have partition %s", other, n, place)
		}
		if other, taken := addresses[i.Address]; taken {
			t.Errorf("r%d and r%d both have address %s", other, n, i.Address)
		}
		places[place], addresses[i.Address] = n, n
	}
	t.Logf("%d requests: %d partitions, %d addresses", requests, len(places), len(addresses))

	for n := range got {
		again, err := peers[(n+1)%len(peers)].stopped(n)
		if err != nil || again.ID != got[n].ID || again.Partition != got[n].Partition {
			t.Errorf("r%d asked of another peer: %v, instance %d in %s; was %d in %s", n, err, again.ID, again.Partition, got[n].ID, got[n].Partition)
		}
	}
	for n := requests; n < partitions; n++ {
		if _, err := peers[n%len(peers)].stopped(n); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range peers {
		_, err := p.stopped(partitions)
		if want := "no partition for r400: 4 computers: 4 full"; !errors.Is(err, protocol.ErrExhausted) || err.Error() != want {
			t.Errorf("one too many: %v, want %s", err, want)
		}
	}
}

// stopped asks for the nth of many instances that are not to run.
func (p *peer) stopped(n int) (i protocol.Instance, err error) {
	in := protocol.RequestInput{Reference: fmt.Sprintf("r%d", n), Release: "memcached", State: protocol.RequestStopped}
	p.w.until(in.Reference, func() error {
		if i, err = p.Request(p.w.Context(), in); errors.Is(err, protocol.ErrUnavailable) {
			return err // no leader at the moment
		}
		return nil
	})
	return i, err
}
