package remote_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slapmesh/slapmesh/ledger"
	"github.com/slapmesh/slapmesh/ledger/remote"
	"github.com/slapmesh/slapmesh/ledger/replica"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// errNotLeader is what the log of a peer says that does not lead.
type errNotLeader struct{ leader ledger.PeerID }

func (e errNotLeader) Error() string { return "not the leader" }

// A mesh is a few voters that share one log, and pipes between all peers.
type mesh struct {
	tb    testing.TB
	t     *testing.T   // of a test in a bubble
	calls atomic.Int64 // proposals that crossed the pipes, in batches

	mu       sync.Mutex // guards what follows
	leader   ledger.PeerID
	index    uint64
	replicas map[ledger.PeerID]*replica.Replica
	servers  map[ledger.PeerID]*pipes
	deaf     bool // the leader takes commands and never answers
}

func newMesh(tb testing.TB, voters ...ledger.PeerID) *mesh {
	tb.Helper()
	m := &mesh{
		tb: tb, leader: voters[0],
		replicas: make(map[ledger.PeerID]*replica.Replica),
		servers:  make(map[ledger.PeerID]*pipes),
	}
	for _, id := range voters {
		m.replicas[id] = replica.New(replica.Config{})
	}
	for _, id := range voters {
		m.serve(id)
	}
	m.must(ledger.System(), ledger.Found{
		Rules: ledger.CurrentRules, Secret: make([]byte, 32),
		Name: "home", ID: "m1", Account: "ann", Peer: voters[0], PeerName: string(voters[0]), PublicKey: []byte(voters[0]),
	})
	for n, id := range voters[1:] {
		m.admit(id, ledger.RoleVoter, "ann", fmt.Sprint("t", n))
	}
	return m
}

// admit makes a token and admits a peer with it.
func (m *mesh) admit(id ledger.PeerID, role ledger.Role, account ledger.AccountName, token string) {
	digest := fmt.Appendf(nil, "%-32s", token)
	m.must(ledger.System(), ledger.CreateToken{
		ID: ledger.TokenID(token), Digest: digest, Role: role, Uses: 1, Expires: noon.Add(time.Hour), Account: account,
	})
	m.must(ledger.System(), ledger.Admit{TokenDigest: digest, Peer: id, PublicKey: []byte(id), Name: string(id)})
}

// must has the leader decide c.
func (m *mesh) must(p ledger.Principal, c ledger.Command) {
	m.tb.Helper()
	data, err := ledger.Encode(p, c)
	if err != nil {
		m.tb.Fatal(err)
	}
	_, replies, err := m.propose(context.Background(), m.leader, [][]byte{data})
	if err == nil {
		err = ledger.ParseReply(replies[0])
	}
	if err != nil {
		m.tb.Fatalf("%s: %v", c.Kind(), err)
	}
}

func (m *mesh) propose(ctx context.Context, self ledger.PeerID, commands [][]byte) (uint64, [][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if self != m.leader {
		return 0, nil, errNotLeader{m.leader}
	}
	m.index++
	var replies [][]byte
	for _, r := range m.replicas {
		replies = r.Apply(m.index, noon, commands)
	}
	if m.deaf {
		m.mu.Unlock()
		<-ctx.Done()
		m.mu.Lock()
		return 0, nil, ctx.Err()
	}
	return m.index, replies, nil
}

// elect makes another peer lead.
func (m *mesh) elect(id ledger.PeerID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leader, m.deaf = id, false
}

type logOf struct {
	m    *mesh
	self ledger.PeerID
}

func (l logOf) ProposeAll(ctx context.Context, commands [][]byte) (uint64, [][]byte, error) {
	return l.m.propose(ctx, l.self, commands)
}

func (m *mesh) local(id ledger.PeerID) *remote.Local {
	return &remote.Local{
		Ledger: m.replicas[id],
		Log:    logOf{m, id},
		NotLeader: func(err error) (ledger.PeerID, bool) {
			var not errNotLeader
			ok := errors.As(err, &not)
			return not.leader, ok
		},
		Clock: func() time.Time { return noon },
	}
}

// serve starts the server of a voter.
func (m *mesh) serve(id ledger.PeerID) {
	handler, err := remote.NewServer(remote.ServerConfig{
		Caller: func(r *http.Request) (ledger.PeerID, bool) {
			who := r.Header.Get("Caller")
			return ledger.PeerID(who), who != ""
		},
		Ledger: m.replicas[id],
		Local:  m.local(id),
	})
	if err != nil {
		m.tb.Fatal(err)
	}
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	m.mu.Lock()
	m.servers[id] = p
	m.mu.Unlock()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = server.Serve(p) // ends with the pipes
	}()
	p.stop = sync.OnceFunc(func() {
		_ = server.Close()
		<-stopped
	})
}

// kill ends the server of a voter.
func (m *mesh) kill(id ledger.PeerID) {
	m.mu.Lock()
	p := m.servers[id]
	delete(m.servers, id)
	m.mu.Unlock()
	p.stop()
}

func (m *mesh) close() {
	for id := range m.replicas {
		m.mu.Lock()
		p := m.servers[id]
		m.mu.Unlock()
		if p != nil {
			p.stop()
		}
	}
}

// as returns the way in which a peer reaches the others.
func (m *mesh) as(id ledger.PeerID) *http.Transport {
	return &http.Transport{
		DisableCompression:  true,
		MaxIdleConnsPerHost: 8,
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			host, _, _ := net.SplitHostPort(addr)
			m.mu.Lock()
			p := m.servers[ledger.PeerID(host)]
			m.mu.Unlock()
			if p == nil {
				return nil, fmt.Errorf("%s is down", host)
			}
			return p.dial(ctx)
		},
	}
}

// stamped adds the caller to requests, as the certificate of a connection
// does in earnest.
type stamped struct {
	self ledger.PeerID
	m    *mesh
	http.RoundTripper
}

func (s stamped) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("Caller", string(s.self))
	if r.Method == http.MethodPost {
		s.m.calls.Add(1)
	}
	return s.RoundTripper.RoundTrip(r)
}

func (m *mesh) forwarder(self ledger.PeerID, transport *http.Transport, edit func(*remote.ForwardConfig)) *remote.Forwarder {
	m.tb.Helper()
	cfg := remote.ForwardConfig{
		Self: self, HTTP: stamped{self, m, transport}, Voters: func() []ledger.PeerID { return m.voters() },
	}
	if edit != nil {
		edit(&cfg)
	}
	f, err := remote.NewForwarder(cfg)
	if err != nil {
		m.tb.Fatal(err)
	}
	return f
}

func (m *mesh) voters() []ledger.PeerID {
	var all []ledger.PeerID
	for id := range m.replicas {
		all = append(all, id)
	}
	slices.Sort(all)
	return all
}

// pipes is a listener in memory.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	stop  func()
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// inMesh runs test in a bubble with a mesh of the given voters.
func inMesh(t *testing.T, voters []ledger.PeerID, test func(m *mesh)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, voters...)
		m.t = t
		defer m.close()
		test(m)
	})
}
