package consensus_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
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
	edit    func(*consensus.Config)
}

func newMesh(t *testing.T) *mesh {
	t.Helper()
	return &mesh{
		t: t, dir: t.TempDir(), network: consensustest.NewNetwork(time.Millisecond),
		nodes: map[string]*consensus.Node{}, states: map[string]*consensustest.Register{},
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
	node, err := consensus.Open(m.config(peer, seat), m.network.Transport(peer), state)
	if err != nil {
		m.t.Fatal(err)
	}
	m.nodes[peer], m.states[peer] = node, state
	return node
}

func (m *mesh) close(peer string) {
	m.t.Helper()
	if err := m.nodes[peer].Close(); err != nil {
		m.t.Errorf("close %s: %v", peer, err)
	}
	delete(m.nodes, peer)
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
