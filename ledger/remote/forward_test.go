package remote_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/remote"
)

var three = []ledger.PeerID{"v1", "v2", "v3"}

func TestProposeFindsTheLeader(t *testing.T) {
	inMesh(t, three, func(m *mesh) {
		t := m.t
		m.admit("c1", ledger.RoleComputer, "bob", "b1")
		transport := m.as("c1")
		defer transport.CloseIdleConnections()
		f := m.forwarder("c1", transport, nil)
		for _, leader := range []ledger.PeerID{"v3", "v2", "v1"} {
			m.elect(leader)
			out, err := f.Propose(t.Context(), remote.Credential{}, ledger.Offer{Partitions: len(leader)})
			if err != nil || out.Index != m.index {
				t.Errorf("leader %s: index %d, want %d: %v", leader, out.Index, m.index, err)
			}
		}
		if c, ok := m.replicas["v1"].View().Computer("c1"); !ok || c.Account != "bob" {
			t.Errorf("computer = %+v: the command is not that of the peer that sent it", c)
		}
	})
}

func TestProposeOnTheLeaderItself(t *testing.T) {
	inMesh(t, three, func(m *mesh) {
		t := m.t
		transport := m.as("v1")
		defer transport.CloseIdleConnections()
		f := m.forwarder("v1", transport, func(c *remote.ForwardConfig) { c.Local = m.local("v1") })
		if _, err := f.Propose(t.Context(), remote.Credential{}, ledger.Offer{Partitions: 1}); err != nil {
			t.Error(err)
		}
		if n := m.calls.Load(); n != 0 {
			t.Errorf("%d calls", n)
		}
		m.elect("v2")
		if _, err := f.Propose(t.Context(), remote.Credential{}, ledger.Offer{Partitions: 2}); err != nil {
			t.Error(err)
		}
		if n := m.calls.Load(); n != 1 {
			t.Errorf("%d calls, want 1: the log knows who leads", n)
		}
	})
}

func TestRefusalCrossesTheWire(t *testing.T) {
	inMesh(t, three, func(m *mesh) {
		t := m.t
		transport := m.as("v2")
		defer transport.CloseIdleConnections()
		f := m.forwarder("v2", transport, nil)
		_, err := f.Propose(t.Context(), remote.Credential{}, ledger.SetState{Reference: "db1", State: ledger.InstanceStopped})
		var r *ledger.Refusal
		if !errors.Is(err, ledger.ErrNotFound) || !errors.As(err, &r) || !strings.Contains(r.Detail, "db1") {
			t.Errorf("err = %v", err)
		}
	})
}

func TestTokenSaysWhoAsks(t *testing.T) {
	inMesh(t, three, func(m *mesh) {
		t := m.t
		digest := fmt.Appendf(nil, "%-32s", "bobs")
		m.must(ledger.System(), ledger.CreateToken{
			ID: "u1", Digest: digest, Role: ledger.RoleUser, Uses: 1, Expires: noon.Add(time.Hour), Account: "bob",
		})
		transport := m.as("v2")
		defer transport.CloseIdleConnections()
		f := m.forwarder("v2", transport, nil)
		mine := ledger.CreateToken{
			ID: "u2", Digest: fmt.Appendf(nil, "%-32s", "more"), Role: ledger.RoleUser, Uses: 1, Expires: noon.Add(time.Hour),
		}
		if _, err := f.Propose(t.Context(), remote.Credential{TokenDigest: digest}, mine); err != nil {
			t.Fatal(err)
		}
		if got, _ := m.replicas["v1"].View().Token("u2"); got.Account != "bob" {
			t.Errorf("token of %q, want bob's", got.Account)
		}
		_, err := f.Propose(t.Context(), remote.Credential{TokenDigest: []byte("guessed")}, mine)
		if !errors.Is(err, ledger.ErrUnauthorized) {
			t.Errorf("err = %v", err)
		}
	})
}

func TestConcurrentProposalsShareCalls(t *testing.T) {
	inMesh(t, three, func(m *mesh) {
		t := m.t
		transport := m.as("v2")
		defer transport.CloseIdleConnections()
		f := m.forwarder("v2", transport, func(c *remote.ForwardConfig) { c.Flights = 1 })
		if _, err := f.Propose(t.Context(), remote.Credential{}, ledger.Offer{Partitions: 1}); err != nil {
			t.Fatal(err)
		}
		m.calls.Store(0)
		var wg sync.WaitGroup
		for n := range 200 {
			wg.Go(func() {
				if _, err := f.Propose(t.Context(), remote.Credential{}, ledger.Offer{Partitions: 2 + n}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := m.calls.Load(); n > 20 {
			t.Errorf("200 proposals took %d calls", n)
		}
	})
}

func TestNoLeader(t *testing.T) {
	inMesh(t, three, func(m *mesh) {
		t := m.t
		transport := m.as("v2")
		defer transport.CloseIdleConnections()
		hopeless := false
		f := m.forwarder("v2", transport, func(c *remote.ForwardConfig) { c.Hopeless = func() bool { return hopeless } })
		m.elect("")

		began := time.Now()
		_, err := f.Propose(t.Context(), remote.Credential{}, ledger.Offer{Partitions: 1})
		if !errors.Is(err, ledger.ErrUnavailable) || !strings.Contains(err.Error(), "nothing has happened") {
			t.Errorf("err = %v", err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("refused after %v, want 5s", took)
		}

		hopeless, began = true, time.Now()
		_, err = f.Propose(t.Context(), remote.Credential{}, ledger.Offer{Partitions: 1})
		if !errors.Is(err, ledger.ErrUnavailable) || !strings.Contains(err.Error(), "majority") {
			t.Errorf("err = %v", err)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("refused after %v, want at once", took)
		}
	})
}

// TestDeafLeader has a leader take a command and never answer, as one does
// that is cut off after the command was ordered.
func TestDeafLeader(t *testing.T) {
	inMesh(t, three, func(m *mesh) {
		t := m.t
		transport := m.as("v2")
		defer transport.CloseIdleConnections()
		f := m.forwarder("v2", transport, nil)
		if _, err := f.Propose(t.Context(), remote.Credential{}, ledger.Offer{Partitions: 1}); err != nil {
			t.Fatal(err)
		}
		m.mu.Lock()
		m.deaf = true
		m.mu.Unlock()
		began := time.Now()
		done := make(chan error, 1)
		go func() {
			_, err := f.Propose(t.Context(), remote.Credential{}, ledger.Offer{Partitions: 7})
			done <- err
		}()
		synctest.Wait()
		m.elect("v3")
		f.Moved("v3")
		if err := <-done; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("took %v though it was known who leads", took)
		}
		if c, _ := m.replicas["v1"].View().Computer("v2"); c.Partitions != 7 {
			t.Errorf("%d partitions, want 7", c.Partitions)
		}
		time.Sleep(time.Minute) // the deaf call ends by itself
	})
}

// TestElectionEndsTheWait has a command wait while nobody leads: it is asked
// again as soon as the log names a leader, not when the pause is over.
func TestElectionEndsTheWait(t *testing.T) {
	inMesh(t, three, func(m *mesh) {
		t := m.t
		transport := m.as("v2")
		defer transport.CloseIdleConnections()
		f := m.forwarder("v2", transport, nil)
		m.elect("")
		done := make(chan error, 1)
		go func() {
			_, err := f.Propose(t.Context(), remote.Credential{}, ledger.Offer{Partitions: 7})
			done <- err
		}()
		time.Sleep(2 * time.Second) // pauses have grown to 200 ms
		m.elect("v3")
		began := time.Now()
		f.Moved("v3")
		if err := <-done; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 20*time.Millisecond {
			t.Errorf("took %v though it was known who leads", took)
		}
	})
}
