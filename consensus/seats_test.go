package consensus_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/consensus"
)

func TestSnapshotReachesNewSeat(t *testing.T) {
	bubble(t, func(m *mesh) {
		t := m.t
		m.edit = func(c *consensus.Config) { c.Trailing = 1 }
		m.found(1)
		var want []string
		for i := range 100 {
			want = append(want, fmt.Sprintf("c%d", i))
			m.propose(want[i], "a")
		}
		if err := m.nodes["a"].Snapshot(); err != nil {
			t.Fatal(err)
		}
		m.propose("after", "a")
		m.open("b", 7)
		if err := m.nodes["a"].AddStandby(t.Context(), "b", 7); err != nil {
			t.Fatal(err)
		}
		m.agree(append(want, "after"), "a", "b")
		if s := m.nodes["b"].Status(); s.State != consensus.StateStandby || s.Leader != "a" || !s.Quorum {
			t.Errorf("standby: %+v", s)
		}
		m.close("b") // restores the snapshot from its own disk
		m.open("b", 7)
		m.agree(append(want, "after"), "a", "b")
	})
}

func TestSeats(t *testing.T) {
	bubble(t, func(m *mesh) {
		t := m.t
		m.found(3)
		a := m.nodes["a"]
		if err := a.AddStandby(t.Context(), "b", 2); !errors.Is(err, consensus.ErrSeat) {
			t.Errorf("a second seat for b: %v", err)
		}
		if err := a.AddStandby(t.Context(), "b", 1); err != nil {
			t.Errorf("the same seat again: %v", err)
		}
		if err := a.Remove(t.Context(), "a", 1); !errors.Is(err, consensus.ErrSeat) {
			t.Errorf("the leader's own: %v", err)
		}
		if err := a.AddStandby(t.Context(), "nobody", 1); err != nil {
			t.Fatal(err)
		}
		if err := a.Promote(t.Context(), "nobody", 1); !errors.Is(err, consensus.ErrBehind) {
			t.Errorf("promote who never answered: %v", err)
		}
		if err := a.Remove(t.Context(), "nobody", 1); err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := a.Demote(t.Context(), "c", 1); err != nil {
				t.Error(err)
			}
		}
		m.eventually("c stands by", func() bool { return m.nodes["c"].Status().State == consensus.StateStandby })
		if got := a.Status(); !slices.Equal(got.Voters, []string{"a", "b"}) || !slices.Equal(got.Standbys, []string{"c"}) {
			t.Errorf("voters %v, standbys %v", got.Voters, got.Standbys)
		}
	})
}

// TestRemovedSeatDoesNotVote takes b's seat away and leaves only b and one
// voter: they must not make a majority, neither with the old disk nor with a
// new seat that nobody gave.
func TestRemovedSeatDoesNotVote(t *testing.T) {
	bubble(t, func(m *mesh) {
		t := m.t
		m.found(4)
		m.close("b")
		if err := m.nodes["a"].Remove(t.Context(), "b", 1); err != nil {
			t.Fatal(err)
		}
		for _, seat := range []uint64{1, 2} {
			m.open("b", seat)
			m.network.Partition([]string{"b", "c"})
			time.Sleep(time.Minute)
			for _, peer := range []string{"b", "c"} {
				if s := m.nodes[peer].Status(); s.State == consensus.StateLeader || s.Quorum {
					t.Errorf("seat %d, %s: %+v", seat, peer, s)
				}
			}
			m.network.Heal()
			m.propose(fmt.Sprintf("after %d", seat), "a", "c", "d")
			m.close("b")
		}
		m.agree([]string{"after 1", "after 2"}, "a", "c", "d")
	})
}

// TestNewDiskIsNoOldVoter gives b an empty disk and the seat that the voters
// do not know: nothing meant for its old seat may reach it.
func TestNewDiskIsNoOldVoter(t *testing.T) {
	bubble(t, func(m *mesh) {
		t := m.t
		m.found(3)
		m.propose("one", "a")
		m.close("b")
		m.open("b", 2)
		m.close("c")
		time.Sleep(5 * time.Second)
		if s := m.nodes["a"].Status(); s.State == consensus.StateLeader {
			t.Errorf("a leads with one vote of three: %+v", s)
		}
		if s := m.nodes["b"].Status(); s.State != consensus.StateUnseated || s.LastIndex != 0 {
			t.Errorf("b took part: %+v", s)
		}
	})
}

func TestHungDiskLosesLeadership(t *testing.T) {
	bubble(t, func(m *mesh) {
		t := m.t
		m.onDisks("a", "b", "c")
		m.found(3)
		m.propose("one", "a")
		m.disks["a"].Hang()
		lost := make(chan error, 1)
		go func() {
			_, _, err := m.nodes["a"].Propose(t.Context(), []byte("maybe"))
			lost <- err
		}()
		time.Sleep(time.Millisecond)
		start := time.Now()
		m.propose("two", "b", "c")
		if took := time.Since(start); took > 6*time.Second { // stalled after 2 s, then silent for a Heartbeat; the vote may split
			t.Errorf("a hung disk kept leadership for %v", took)
		}
		if err := <-lost; !errors.Is(err, consensus.ErrAmbiguous) {
			t.Errorf("a command in a hung disk: %v", err)
		}
		<-m.nodes["a"].Failed()
		if s := m.nodes["a"].Status(); s.State != consensus.StateFailed {
			t.Errorf("after the write timeout: %+v", s)
		}
		m.agree([]string{"one", "two"}, "b", "c")
		m.disks["a"].Mend()
		if err := m.nodes["a"].Close(); err == nil {
			t.Error("closing a failed node returned no reason")
		}
		m.open("a", 1)
		m.agree([]string{"one", "two"}, "a", "b", "c")
	})
}

func TestHiccupIsForgiven(t *testing.T) {
	bubble(t, func(m *mesh) {
		t := m.t
		m.onDisks("a", "b", "c")
		m.found(3)
		m.disks["a"].Hang()
		go func() { time.Sleep(5 * time.Second); m.disks["a"].Mend() }()
		for _, c := range []string{"one", "two"} {
			_, _, _ = m.nodes["a"].Propose(t.Context(), []byte(c))
		}
		m.propose("three", "a", "b", "c")
		m.agree([]string{"three"}, "a", "b", "c")
	})
}
