package main_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/protocol"
)

// A computer that is suspended until the others believe it dead is of the mesh
// again seconds after it goes on, at both ends.
func TestSuspendedComputer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newNetwork(t))
	peers := w.mesh("5", "a", "b", "c")
	a, b, c := peers[0], peers[1], peers[2]
	before, err := b.stopped(0)
	if err != nil {
		t.Fatal(err)
	}

	c.signal(syscall.SIGSTOP)
	for _, p := range []*peer{a, b} {
		p.await("without the one that sleeps", func(s protocol.Status) bool { return s.Members == 2 && s.Quorum })
	}
	if _, err := a.stopped(1); err != nil {
		t.Errorf("the others decide nothing: %v", err)
	}

	c.signal(syscall.SIGCONT)
	woken := time.Now()
	for _, p := range peers {
		p.await("in the mesh again", func(s protocol.Status) bool { return s.Members == 3 && s.Quorum && s.Leader != "" })
	}
	t.Logf("all are there again after %v", time.Since(woken).Round(10*time.Millisecond))
	for _, p := range peers {
		w.until(p.name+" sees all as they are", func() error {
			members, err := p.Members(t.Context())
			if err != nil {
				return err
			}
			for _, m := range members {
				if m.State != protocol.MemberAlive || m.Path != protocol.PathDirect && m.Path != protocol.PathSelf {
					return fmt.Errorf("%s is %s, %s", m.Name, m.State, m.Path)
				}
			}
			return nil
		})
	}
	if _, err := c.stopped(2); err != nil {
		t.Errorf("who slept asks in vain: %v", err)
	}
	c.await("without a warning", func(s protocol.Status) bool { return !s.Stale && !s.Reach.Hidden })
	if again, err := c.stopped(0); err != nil || again.ID != before.ID {
		t.Errorf("what was acknowledged before: instance %d, was %d: %v", again.ID, before.ID, err)
	}
}

func (p *peer) signal(s syscall.Signal) {
	p.w.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.w.Fatal(err)
	}
}
