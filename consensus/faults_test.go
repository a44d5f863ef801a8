package consensus_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/slapmesh/slapmesh/consensus"
)

// A history is what clients saw of the register: each command's place in it,
// and reads of its length.
type history struct {
	clock atomic.Int64
	mu    sync.Mutex
	ops   []porcupine.Operation
	acked map[string]int // command: place
}

// unknown is the place of a command that may have been applied or not.
const unknown = -1

// counter is the specification: a command's place is how many came before it,
// and a read returns how many there are.
var counter = porcupine.Model{
	Init: func() any { return 0 },
	Step: func(state, input, output any) (bool, any) {
		n, place := state.(int), output.(int)
		if input == "read" {
			return place == n, n
		}
		return place == unknown || place == n, n + 1
	},
}

// do records one operation. Without a place it may take effect at any time
// after, or never; a read without one says nothing.
func (h *history) do(client int, input string, op func() (place int, err error)) error {
	call := h.clock.Add(1)
	place, err := op()
	back := h.clock.Add(1)
	if err != nil {
		if input == "read" || !errors.Is(err, consensus.ErrAmbiguous) {
			return err
		}
		place, back = unknown, math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: input, Call: call, Output: place, Return: back})
	if err == nil && input != "read" {
		h.acked[input] = place
	}
	return err
}

// client proposes and reads until ctx is done.
func (m *mesh) client(ctx context.Context, h *history, client int) {
	for i := 0; ctx.Err() == nil; i++ {
		for _, peer := range m.leaders() {
			node, state := m.at(peer)
			if node == nil {
				continue
			}
			short, cancel := context.WithTimeout(ctx, 3*time.Second)
			if i%4 == 3 {
				_ = h.do(client, "read", func() (int, error) {
					err := node.Barrier(short)
					return len(state.Commands()), err
				})
			} else {
				command := fmt.Sprintf("%d-%d-%s", client, i, peer)
				_ = h.do(client, command, func() (int, error) {
					_, reply, err := node.Propose(short, []byte(command))
					if err != nil {
						return 0, err
					}
					return int(binary.BigEndian.Uint64(reply)), nil
				})
			}
			cancel()
		}
		time.Sleep(time.Duration(20+rand.IntN(200)) * time.Millisecond)
	}
}

// TestNothingAcknowledgedIsLost lets five voters suffer partitions, restarts,
// disks that hang and leaders that are deposed, and checks what the clients
// saw against the specification.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	peers := strings.Split("abcde", "")
	bubble(t, func(m *mesh) {
		t := m.t
		m.onDisks(peers...)
		m.edit = func(c *consensus.Config) { c.Trailing, c.SnapshotEvery, c.SnapshotCheck = 20, 50, 5*time.Second }
		m.found(5)
		h := &history{acked: map[string]int{}}
		ctx, stop := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		for i := range 6 {
			clients.Go(func() { m.client(ctx, h, i) })
		}
		for range 12 {
			time.Sleep(3 * time.Second)
			m.misfortune(chance, peers)
			time.Sleep(time.Duration(chance.IntN(6)) * time.Second)
			m.mend(peers)
		}
		time.Sleep(10 * time.Second)
		stop()
		clients.Wait()
		m.agree(nil, peers...)
		h.check(t, m.states["a"].Commands())
	})
}

// misfortune is one fault.
func (m *mesh) misfortune(chance *rand.Rand, peers []string) {
	peers = slices.Clone(peers)
	chance.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	switch chance.IntN(5) {
	case 0: // two cut off
		m.network.Partition(peers[:2], peers[2:])
	case 1: // the leader cut off
		leader := m.leader(peers...)
		m.network.Partition(slices.DeleteFunc(peers, func(p string) bool { return p == leader }))
	case 2: // two restart
		for _, p := range peers[:2] {
			m.close(p)
			m.open(p, 1)
		}
	case 3: // the leader's disk hangs
		m.disks[m.leader(peers...)].Hang()
	case 4: // nobody reaches anybody
		m.network.Partition(peers[:1], peers[1:2], peers[2:3], peers[3:4])
	}
}

// mend ends the fault, and restarts whom it broke.
func (m *mesh) mend(peers []string) {
	m.network.Heal()
	for _, p := range peers {
		m.disks[p].Mend()
		if m.nodes[p].Status().State == consensus.StateFailed {
			_ = m.nodes[p].Close()
			m.open(p, 1)
		}
	}
}

// check compares the history with what was applied in the end.
func (h *history) check(t *testing.T, applied []string) {
	t.Helper()
	for command, place := range h.acked {
		if place >= len(applied) || applied[place] != command {
			t.Errorf("acknowledged %s at %d is not there", command, place)
		}
	}
	for i, command := range applied {
		if slices.Contains(applied[i+1:], command) {
			t.Errorf("%s was applied twice", command)
		}
	}
	// What was unknown to its client is known now.
	for i, op := range h.ops {
		if op.Output == unknown {
			h.ops[i].Output = slices.Index(applied, op.Input.(string))
		}
	}
	h.ops = slices.DeleteFunc(h.ops, func(op porcupine.Operation) bool { return op.Output == unknown })
	result := porcupine.CheckOperationsTimeout(counter, h.ops, time.Hour)
	t.Logf("%d operations, %d acknowledged, %d applied: %s", len(h.ops), len(h.acked), len(applied), result)
	if result != porcupine.Ok || len(h.acked) < 100 {
		t.Errorf("history is not linearizable, or too short")
	}
}

// TestCrashes lets one voter of three lose its power at each of its first
// writes to disk, half done or not, while commands go on.
func TestCrashes(t *testing.T) {
	for _, victim := range []string{"a", "b"} { // a leads
		for after := range 12 {
			for _, torn := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d/torn=%v", victim, after, torn), func(t *testing.T) {
					bubble(t, func(m *mesh) { crash(m.t, m, victim, after, torn) })
				})
			}
		}
	}
}

func crash(t *testing.T, m *mesh, victim string, after int, torn bool) {
	t.Helper()
	peers := []string{"a", "b", "c"}
	m.onDisks(peers...)
	m.found(3)
	m.disks[victim].FailAfter(after, torn)
	var acked []string
	for i := range 16 {
		command := fmt.Sprintf("c%d", i)
		for _, peer := range []string{"a", "b", "c"} {
			if _, _, err := m.nodes[peer].Propose(t.Context(), []byte(command)); err == nil {
				acked = append(acked, command)
				break
			}
		}
		if i%4 == 3 { // terms and votes are written too
			time.Sleep(3 * time.Second)
			_ = m.nodes[m.leader(peers...)].TransferLeadership(t.Context())
			time.Sleep(100 * time.Millisecond)
		}
	}
	<-m.nodes[victim].Failed()
	m.network.Partition(slices.DeleteFunc(slices.Clone(peers), func(p string) bool { return p == victim }))
	_ = m.nodes[victim].Close()
	m.disks[victim].Mend()
	m.network.Heal()
	m.open(victim, 1)
	m.propose("last", peers...)
	m.agree(append(acked, "last"), peers...)
	if len(acked) < 4 {
		t.Errorf("only %d of 16 acknowledged", len(acked))
	}
}
