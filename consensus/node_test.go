package consensus_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slapmesh/slapmesh/consensus"
	"github.com/slapmesh/slapmesh/consensus/consensustest"
)

// bubble runs a test of a mesh in virtual time.
func bubble(t *testing.T, test func(m *mesh)) {
	t.Helper()
	m := newMesh(t) // the folder must outlive the bubble
	synctest.Test(t, func(t *testing.T) {
		m.t = t
		defer m.closeAll()
		test(m)
	})
}

func TestThreeVotersAgree(t *testing.T) {
	bubble(t, func(m *mesh) {
		t := m.t
		m.found(3)
		var want []string
		for i := range 20 {
			c := fmt.Sprintf("c%d", i)
			if _, _, err := m.nodes["a"].Propose(t.Context(), []byte(c)); err != nil {
				t.Fatal(err)
			}
			want = append(want, c)
		}
		time.Sleep(20 * time.Millisecond) // announcements, not the next interval
		for peer, state := range m.states {
			if got := state.Commands(); !slices.Equal(got, want) {
				t.Errorf("%s applied %v, want %v", peer, got, want)
			}
		}
		if at := m.states["b"].Last(); time.Since(at) > time.Second {
			t.Errorf("group stamped %v, now %v", at, time.Now())
		}
	})
}

// TestWhoWaitsHearsAtOnce: a follower learns of a commit from the next group,
// or after the lull, or at once if somebody there waits for it.
func TestWhoWaitsHearsAtOnce(t *testing.T) {
	const lull = 100 * time.Millisecond
	m := newMesh(t)
	m.edit = func(c *consensus.Config) { c.Timing = consensus.LAN(); c.Timing.Lull = lull }
	synctest.Test(t, func(t *testing.T) {
		m.t = t
		defer m.closeAll()
		m.found(3)
		time.Sleep(time.Second) // founding is announced
		if _, _, err := m.nodes["a"].Propose(t.Context(), []byte("c")); err != nil {
			t.Fatal(err)
		}
		m.nodes["a"].Hasten("b")
		m.nodes["b"].Hasten("c") // it does not lead
		time.Sleep(lull / 2)
		for peer, want := range map[string]int{"a": 1, "b": 1, "c": 0} {
			if got := len(m.states[peer].Commands()); got != want {
				t.Errorf("%s applied %d commands before the lull is over, want %d", peer, got, want)
			}
		}
		time.Sleep(2 * lull) // the lull begins anew when the second follower has stored the entry
		if got := len(m.states["c"].Commands()); got != 1 {
			t.Errorf("c applied %d commands after the lull", got)
		}
	})
}

func TestGroupCommit(t *testing.T) {
	bubble(t, func(m *mesh) {
		t := m.t
		m.found(3)
		before := m.nodes["a"].Status().LastIndex
		var all sync.WaitGroup
		var mu sync.Mutex
		places := map[string]bool{}
		for i := range 500 {
			all.Go(func() {
				_, reply, err := m.nodes["a"].Propose(t.Context(), fmt.Appendf(nil, "c%d", i))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				places[string(reply)] = true
			})
		}
		all.Wait()
		if len(places) != 500 {
			t.Errorf("%d replies differ, want 500", len(places))
		}
		if groups := m.nodes["a"].Status().LastIndex - before; groups > 10 {
			t.Errorf("500 commands at once took %d groups", groups)
		}
	})
}

// TestProposeAll: commands that are proposed together are in one entry, in
// their order, and are answered one by one, whoever else is in the group.
func TestProposeAll(t *testing.T) {
	bubble(t, func(m *mesh) {
		t := m.t
		m.edit = func(c *consensus.Config) { c.MaxGroup, c.MaxGroupBytes = 50, 200 }
		m.found(1)
		node := m.nodes["a"]
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				var run [][]byte
				for k := range 1 + i%3 {
					run = append(run, fmt.Appendf(nil, "%d.%d", i, k))
				}
				index, replies, err := node.ProposeAll(t.Context(), run)
				if err != nil || len(replies) != len(run) {
					t.Errorf("%d replies to %d commands: %v", len(replies), len(run), err)
					return
				}
				applied := m.states["a"].Commands()
				first := slices.Index(applied, string(run[0]))
				for k, reply := range replies {
					if want := binary.BigEndian.AppendUint64(nil, uint64(first+k)); !bytes.Equal(reply, want) || applied[first+k] != string(run[k]) {
						t.Errorf("reply %x to command %d at place %d of entry %d, applied %q", reply, k, first, index, applied[first+k])
					}
				}
			})
		}
		all.Wait()
		for name, run := range map[string][][]byte{"many": make([][]byte, 51), "large": {make([]byte, 101), make([]byte, 100)}} {
			if _, _, err := node.ProposeAll(t.Context(), run); !errors.Is(err, consensus.ErrTooLarge) {
				t.Errorf("too %s: %v", name, err)
			}
		}
	})
}

func TestGroupsAreBounded(t *testing.T) {
	bubble(t, func(m *mesh) {
		t := m.t
		m.edit = func(c *consensus.Config) { c.MaxGroup, c.MaxGroupBytes, c.MaxWaiting = 8, 100, 64 }
		m.found(1)
		node := m.nodes["a"]
		if _, _, err := node.Propose(t.Context(), make([]byte, 101)); !errors.Is(err, consensus.ErrTooLarge) {
			t.Errorf("too large: %v", err)
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		done, busy := 0, 0
		for range 200 {
			all.Go(func() {
				_, _, err := node.Propose(t.Context(), make([]byte, 60))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					done++
				case errors.Is(err, consensus.ErrBusy):
					busy++
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if done+busy != 200 || done != len(m.states["a"].Commands()) {
			t.Errorf("%d done, %d refused, %d applied", done, busy, len(m.states["a"].Commands()))
		}
	})
}

func TestWhoDoesNotLeadRefuses(t *testing.T) {
	bubble(t, func(m *mesh) {
		t := m.t
		m.found(3)
		var refused *consensus.NotLeaderError
		_, _, err := m.nodes["b"].Propose(t.Context(), []byte("x"))
		if !errors.As(err, &refused) || refused.Leader != "a" {
			t.Errorf("propose on b: %v, want it to name a", err)
		}
		for name, call := range map[string]func() error{
			"add":     func() error { return m.nodes["b"].AddStandby(t.Context(), "z", 1) },
			"remove":  func() error { return m.nodes["b"].Remove(t.Context(), "c", 1) },
			"verify":  func() error { return m.nodes["b"].VerifyLeader(t.Context()) },
			"barrier": func() error { return m.nodes["b"].Barrier(t.Context()) },
			"hand on": func() error { return m.nodes["b"].TransferLeadership(t.Context()) },
		} {
			if err := call(); !errors.Is(err, consensus.ErrNotLeader) {
				t.Errorf("%s on b: %v", name, err)
			}
		}
		if err := m.nodes["a"].VerifyLeader(t.Context()); err != nil {
			t.Error(err)
		}
		if err := m.nodes["a"].Barrier(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestGivingUp(t *testing.T) {
	bubble(t, func(m *mesh) {
		t := m.t
		m.found(3)
		m.network.Partition([]string{"b", "c"})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, _, err := m.nodes["a"].Propose(ctx, []byte("x")); !errors.Is(err, consensus.ErrAmbiguous) {
			t.Errorf("a group on its way: %v", err)
		}
		if _, _, err := m.nodes["a"].Propose(ctx, []byte("y")); errors.Is(err, consensus.ErrAmbiguous) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a command that waits: %v", err)
		}
		time.Sleep(time.Second)
		if s := m.nodes["a"].Status(); s.State == consensus.StateLeader || s.Quorum {
			t.Errorf("cut off: %+v", s)
		}
	})
}

// TestFailover measures the time from the death of the leader to the next
// command that is acknowledged, in virtual time.
func TestFailover(t *testing.T) {
	for _, voters := range []int{3, 5} {
		t.Run(fmt.Sprint(voters), func(t *testing.T) {
			var sum, worst time.Duration
			const rounds = 10
			for range rounds {
				bubble(t, func(m *mesh) {
					t := m.t
					m.onDisks(strings.Split("abcde", "")...)
					m.found(voters)
					var load sync.WaitGroup
					ctx, stop := context.WithCancel(t.Context())
					for range 4 { // so that the followers' logs differ
						load.Go(func() {
							for ctx.Err() == nil {
								if _, _, err := m.nodes["a"].Propose(ctx, []byte("load")); err != nil {
									return
								}
							}
						})
					}
					time.Sleep(200 * time.Millisecond)
					rest := strings.Split("bcde"[:voters-1], "")
					m.network.Partition(rest)
					start := time.Now()
					m.propose("next", rest...)
					took := time.Since(start)
					sum, worst = sum+took, max(worst, took)
					stop()
					load.Wait()
					m.network.Heal()
					m.agree([]string{"next"}, append(rest, "a")...)
				})
			}
			t.Logf("%d voters: mean %v, worst %v", voters, sum/rounds, worst)
			if most := 1300 * time.Millisecond; sum/rounds > most { // a Heartbeat, and a split vote now and then
				t.Errorf("failover takes %v on average, want less than %v", sum/rounds, most)
			}
		})
	}
}

func TestRestart(t *testing.T) {
	bubble(t, func(m *mesh) {
		m.found(3)
		m.propose("one", "a")
		for range 3 {
			m.closeAll()
			for _, peer := range []string{"a", "b", "c"} {
				m.open(peer, 1)
			}
			m.propose("more", "a", "b", "c")
		}
		m.agree([]string{"one", "more"}, "a", "b", "c")
	})
}

func TestRestartAloneIsImmediate(t *testing.T) {
	bubble(t, func(m *mesh) {
		t := m.t
		m.found(1)
		m.propose("one", "a")
		m.close("a")
		start := time.Now()
		node := m.open("a", 1)
		m.propose("two", "a")
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("led again after %v", took)
		}
		if err := node.Bootstrap(); err != nil {
			t.Errorf("bootstrap again: %v", err)
		}
		m.agree([]string{"one", "two"}, "a")
	})
}

func TestCloseHandsOver(t *testing.T) {
	bubble(t, func(m *mesh) {
		t := m.t
		m.found(3)
		start := time.Now()
		m.close("a")
		m.propose("next", "b", "c")
		if took := time.Since(start); took > 200*time.Millisecond {
			t.Errorf("next leader after %v", took)
		}
	})
}

func TestWatch(t *testing.T) {
	bubble(t, func(m *mesh) {
		t := m.t
		m.found(3)
		changed, stop := m.nodes["c"].Watch()
		defer stop()
		if err := m.nodes["a"].TransferLeadership(t.Context()); err != nil {
			t.Fatal(err)
		}
		for m.nodes["c"].Status().Leader == "a" || m.nodes["c"].Status().Leader == "" {
			<-changed
		}
	})
}

func TestTwoNodesOnOneFolder(t *testing.T) {
	dir := t.TempDir()
	network := consensustest.NewNetwork(0)
	cfg := consensus.Config{Peer: "a", Seat: 1, Dir: dir}
	first, err := consensus.Open(cfg, network.Transport("a"), &consensustest.Register{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := consensus.Open(cfg, network.Transport("a"), &consensustest.Register{}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("second: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
}

func TestConfigErrors(t *testing.T) {
	good := consensus.Config{Peer: "a", Seat: 1, Dir: filepath.Join(t.TempDir(), "log")}
	for want, edit := range map[string]func(*consensus.Config){
		"Peer":      func(c *consensus.Config) { c.Peer = "a#1" },
		"Dir":       func(c *consensus.Config) { c.Dir = "" },
		"Heartbeat": func(c *consensus.Config) { c.Timing = consensus.LAN(); c.Timing.Heartbeat = 1 },
		"Lease":     func(c *consensus.Config) { c.Timing = consensus.LAN(); c.Timing.Lease = time.Hour },
		"Pace":      func(c *consensus.Config) { c.Timing = consensus.LAN(); c.Timing.Pace = time.Second },
		"Call":      func(c *consensus.Config) { c.Timing = consensus.WAN(); c.Timing.Call = time.Second },
		"group":     func(c *consensus.Config) { c.MaxGroup = 1 << 20 },
	} {
		cfg := good
		edit(&cfg)
		_, err := consensus.Open(cfg, consensustest.NewNetwork(0).Transport("a"), &consensustest.Register{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
