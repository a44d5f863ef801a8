package consensus_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/slapmesh/slapmesh/consensus"
	"github.com/slapmesh/slapmesh/consensus/consensustest"
)

// A mesh is some nodes on one simulated network.
type mesh struct {
	t       *testing.T
	dir     string
	network *consensustest.Network
	nodes   map[string]*consensus.Node
	states  map[string]*consensustest.Register
	disks   map[string]*consensustest.Disk // none: on files
	edit    func(*consensus.Config)
	mu      sync.Mutex // guards nodes and states against the clients
}

func newMesh(t *testing.T) *mesh {
	t.Helper()
	return &mesh{
		t: t, dir: t.TempDir(), network: consensustest.NewNetwork(time.Millisecond),
		nodes: map[string]*consensus.Node{}, states: map[string]*consensustest.Register{},
		disks: map[string]*consensustest.Disk{},
	}
}

func (m *mesh) config(peer string, seat uint64) consensus.Config {
	cfg := consensus.Config{Peer: peer, Seat: seat, Dir: filepath.Join(m.dir, peer)}
	if os.Getenv("SLAPD_TEST_LOG") != "" {
		cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("on", peer)
	}
	if m.edit != nil {
		m.edit(&cfg)
	}
	return cfg
}

// open starts a node with a new machine.
func (m *mesh) open(peer string, seat uint64) *consensus.Node {
	m.t.Helper()
	state := &consensustest.Register{}
	node, err := m.start(m.config(peer, seat), state)
	if err != nil {
		m.t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes[peer], m.states[peer] = node, state
	return node
}

func (m *mesh) start(cfg consensus.Config, state *consensustest.Register) (*consensus.Node, error) {
	transport := m.network.Transport(cfg.Peer)
	if disk := m.disks[cfg.Peer]; disk != nil {
		return consensus.OpenOn(cfg, transport, state, disk)
	}
	return consensus.Open(cfg, transport, state)
}

// onDisks puts the logs of voters to come on disks that can fail.
func (m *mesh) onDisks(peers ...string) {
	for _, peer := range peers {
		m.disks[peer] = consensustest.NewDisk()
	}
}

func (m *mesh) close(peer string) {
	m.t.Helper()
	if err := m.nodes[peer].Close(); err != nil {
		m.t.Errorf("close %s: %v", peer, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.nodes, peer)
}

// at returns a peer's node and machine, or nil.
func (m *mesh) at(peer string) (*consensus.Node, *consensustest.Register) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nodes[peer], m.states[peer]
}

// leaders returns the peers that believe that they lead.
func (m *mesh) leaders() (peers []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for peer, n := range m.nodes {
		if n.Status().State == consensus.StateLeader {
			peers = append(peers, peer)
		}
	}
	return peers
}

func (m *mesh) closeAll() {
	m.t.Helper()
	for peer := range m.nodes {
		m.close(peer)
	}
}

// found starts a mesh of the peers a, b, c…, all voters.
func (m *mesh) found(voters int) {
	m.t.Helper()
	for i := range voters {
		peer := string(rune('a' + i))
		node := m.open(peer, 1)
		if i == 0 {
			if err := node.Bootstrap(); err != nil {
				m.t.Fatal(err)
			}
			m.eventually("a leads", func() bool { return node.Status().State == consensus.StateLeader })
			continue
		}
		leader := m.nodes["a"]
		if err := leader.AddStandby(m.t.Context(), peer, 1); err != nil {
			m.t.Fatal(err)
		}
		m.eventually(peer+" is promoted", func() bool { return leader.Promote(m.t.Context(), peer, 1) == nil })
	}
}

// propose has a command ordered by whoever leads among the peers.
func (m *mesh) propose(command string, peers ...string) {
	m.t.Helper()
	m.eventually("propose "+command, func() bool {
		_, _, err := m.nodes[m.leader(peers...)].Propose(m.t.Context(), []byte(command))
		if err != nil && !errors.Is(err, consensus.ErrNotLeader) {
			m.t.Fatal(err)
		}
		return err == nil
	})
}

// agree waits until the peers have applied the same commands, these at least.
func (m *mesh) agree(want []string, peers ...string) {
	m.t.Helper()
	m.eventually(fmt.Sprintf("%v agree", peers), func() bool {
		first := m.states[peers[0]].Commands()
		for _, peer := range peers {
			if got := m.states[peer].Commands(); !slices.Equal(got, first) {
				return false
			}
		}
		for _, c := range want {
			if !slices.Contains(first, c) {
				return false
			}
		}
		return true
	})
}

// eventually waits until a condition holds.
func (m *mesh) eventually(what string, ok func() bool) {
	m.t.Helper()
	for start := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			m.t.Fatalf("not within 20s: %s", what)
		}
	}
}

// leader waits for a leader among the peers and returns it.
func (m *mesh) leader(peers ...string) (leader string) {
	m.t.Helper()
	m.eventually(fmt.Sprintf("a leader among %v", peers), func() bool {
		for _, peer := range peers {
			if n := m.nodes[peer]; n != nil && n.Status().State == consensus.StateLeader {
				leader = peer
				return true
			}
		}
		return false
	})
	return leader
}
